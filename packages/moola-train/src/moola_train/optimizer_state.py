"""An optimiser's state as named tensors, so that it can be saved without pickling and loaded by name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.optim import Optimizer


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Copies the moments and step counts to the CPU, named ``<parameter>::<moment>``."""
    tensors = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{name}::{key}"] = value.detach().to("cpu", copy=True)
    return tensors


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Loads what `optimizer_tensors` gave.

    Raises:
        ValueError: A tensor belongs to no parameter of the optimiser, or does not have its shape.
    """
    content = optimizer.state_dict()
    place = {}
    for group, saved in zip(optimizer.param_groups, content["param_groups"], strict=True):
        for name, number, parameter in zip(group["names"], saved["params"], group["params"], strict=True):
            place[name] = (number, parameter.shape)
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, moment = key.rpartition("::")
        if name not in place:
            raise ValueError(f"optimizer: want state of {sorted(place)}, got {name!r}")
        number, shape = place[name]
        if tensor.ndim and tensor.shape != shape:
            raise ValueError(f"optimizer: want {tuple(shape)} for {key!r}, got {tuple(tensor.shape)}")
        state.setdefault(number, {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": content["param_groups"]})
