"""Which parameter is optimised with which settings: every parameter in exactly one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypedDict

import torch
from torch import nn

from moola_train.config import FitConfig
from moola_train.fused_adamw import FusedAdamW

FUSED = frozenset({"cpu", "cuda"})
"""Devices whose AdamW is one fused step, which can be masked on the device."""

BALANCER_LEARNING_RATE = 1e-3
"""Of a balancer's parameters, where neither the configuration nor the balancer names one."""


class Group(TypedDict):
    """A parameter group as `torch.optim` takes it, with names that records and checkpoints use."""

    name: str
    """``model``, ``balancer`` or the pattern, with ``/no_decay`` where biases and scales are apart."""
    params: list[nn.Parameter]
    names: list[str]
    """Parameter names: ``model.…`` or ``balancer.…``, in the order of `params`."""
    lr: float
    base_lr: float
    """Learning rate before the schedule's factor."""
    weight_decay: float
    clip_norm: float | None
    """None clips it with all the rest."""


def parameter_groups(model: nn.Module, balancer: nn.Module, config: FitConfig) -> list[Group]:
    """Splits all parameters into groups, frozen ones included, so that they may be thawed later.

    Decay pulls weights towards 0, which is no sensible value for a bias or a scale: parameters of rank 1 or
    less and those called bias are never decayed, and neither is anything of the balancer.

    Raises:
        ValueError: A pattern matches no parameter, or a parameter belongs to the model and the balancer.
    """
    groups: dict[str, Group] = {}
    used: set[str] = set()
    for name, parameter in model.named_parameters():
        settings = next((g for g in config.groups if fnmatchcase(name, g.pattern)), None)
        title, rate, decay, clip = "model", config.learning_rate, config.weight_decay, None
        if settings is not None:
            title = settings.pattern
            used.add(title)
            rate = rate if settings.learning_rate is None else settings.learning_rate
            decay = decay if settings.weight_decay is None else settings.weight_decay
            clip = settings.clip_norm
        if parameter.ndim < 2 or "bias" in name.rpartition(".")[2]:
            title, decay = f"{title}/no_decay", 0.0
        _add(groups, title, f"model.{name}", parameter, rate, decay, clip)
    unused = [g.pattern for g in config.groups if g.pattern not in used]
    if unused:
        names = [name for name, _ in model.named_parameters()]
        raise ValueError(f"groups: want a pattern that matches one of {names}, got {unused[0]!r}")
    of_model = {id(parameter) for parameter in model.parameters()}
    own = _own_rates(balancer)
    for name, parameter in balancer.named_parameters():
        if id(parameter) in of_model:
            raise ValueError(f"balancer: want parameters of its own, got {name!r} of the model")
        own_rate = own.get(id(parameter), BALANCER_LEARNING_RATE)
        rate = own_rate if config.balancer_learning_rate is None else config.balancer_learning_rate
        # Two rates are two groups; the first keeps the plain name.
        title = "balancer"
        while title in groups and groups[title]["lr"] != rate:
            title += "+"
        _add(groups, title, f"balancer.{name}", parameter, rate, 0.0, None)
    if not groups:
        raise ValueError("model: want at least one parameter to train, got none")
    return list(groups.values())


def _own_rates(balancer: nn.Module) -> dict[int, float]:
    """Returns the learning rates that the balancer names, by the identity of the parameter."""
    ask = getattr(balancer, "param_groups", None)
    told: Sequence[Mapping[str, Any]] = ask() if callable(ask) else ()
    return {id(p): float(group["lr"]) for group in told if "lr" in group for p in group["params"]}


def _add(
    groups: dict[str, Group],
    title: str,
    name: str,
    parameter: nn.Parameter,
    rate: float,
    decay: float,
    clip: float | None,
) -> None:
    fresh = Group(name=title, params=[], names=[], lr=rate, base_lr=rate, weight_decay=decay, clip_norm=clip)
    group = groups.setdefault(title, fresh)
    group["params"].append(parameter)
    group["names"].append(name)


def adamw(groups: list[Group], config: FitConfig, *, device: torch.device) -> torch.optim.AdamW:
    """Returns AdamW (Loshchilov and Hutter 2019, decoupled decay) over the groups, fused where torch can.

    On CUDA it is capturable, with the learning rates as tensors there: a recorded step reads them anew.
    """
    on_gpu = device.type == "cuda"
    ready = [dict(group) for group in groups]
    if on_gpu:
        ready = [group | {"lr": torch.tensor(group["lr"], device=device)} for group in ready]
    kind = FusedAdamW if device.type == "cpu" else torch.optim.AdamW
    return kind(
        ready,
        lr=config.learning_rate,
        betas=config.betas,
        fused=device.type in FUSED,
        capturable=on_gpu,
    )
