"""What a balancer asks of the loop, told by its attributes: nothing has to inherit from anything.

Weighting balancers turn ``{task: loss}`` into a scalar. Gradient balancers look at every task's gradient and
do the backward pass themselves.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Space = Literal["parameters", "representation"]


class Needs(NamedTuple):
    """What a balancer needs beside the losses."""

    space: Space | None
    """Where it compares the tasks' gradients; None if it only weighs losses."""
    after_step: bool
    """Whether it wants the batch's losses once more after the step: ``after_step({task: loss})``."""
    epoch_end: bool
    """Whether it wants to be told: ``epoch_end()``."""


def needs_of(balancer: nn.Module) -> Needs:
    """Reads what a balancer needs.

    It works on gradients if its ``needs_shared`` is true, or ``claims.shared`` where it has claims. Its
    ``space`` may then be "parameters", which is assumed, or "representation": the model's ``encode`` and
    ``heads`` are called apart. ``after_step`` and ``epoch_end`` are called where a class that is not abstract
    defines them; ``wants_after_step`` decides instead, where the balancer has it.

    Raises:
        ValueError: It works on gradients but has no ``backward``, or its space is none of the two.
    """
    shared = getattr(balancer, "needs_shared", None)
    if shared is None:
        shared = getattr(getattr(balancer, "claims", None), "shared", False)
    space: Space | None = None
    if shared:
        if not callable(getattr(balancer, "backward", None)):
            raise ValueError(f"balancer: want a method backward of {type(balancer).__name__}, got none")
        found = getattr(balancer, "space", "parameters")
        if found not in ("parameters", "representation"):
            raise ValueError(f"balancer: want the space 'parameters' or 'representation', got {found!r}")
        space = "parameters" if found == "parameters" else "representation"
    told = getattr(balancer, "wants_after_step", None)
    after_step = _defines(balancer, "after_step") if told is None else bool(told)
    return Needs(space, after_step, _defines(balancer, "epoch_end"))


def _defines(balancer: nn.Module, name: str) -> bool:
    owner = next((c for c in type(balancer).__mro__ if name in vars(c)), None)
    return owner is not None and not inspect.isabstract(owner)


def shared_parameters(model: nn.Module, patterns: Sequence[str], inputs: Tensor) -> list[nn.Parameter]:
    """Returns the trained parameters that all tasks share.

    They are those whose names match a pattern; without patterns those under ``encoder.``; where there are
    none, those that ``model.encode`` uses, found by a backward pass through a copy of the model.

    Args:
        model: The model, on its device.
        patterns: Shell-style, over parameter names; each has to match something.
        inputs: A few examples, on the model's device.

    Raises:
        ValueError: A pattern matches nothing, or no patterns are given and the model does not tell.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            raise ValueError(f"shared: want a pattern that matches one of {list(named)}, got {pattern!r}")
    wanted = patterns or ("encoder.*",)
    found = [p for name, p in named.items() if any(fnmatchcase(name, pattern) for pattern in wanted)]
    if found:
        return found
    if not callable(getattr(model, "encode", None)):
        raise ValueError(
            "shared: want patterns that name the shared parameters, got none, and the model has neither"
            f" parameters under 'encoder' nor a method encode; its parameters are {list(named)}"
        )
    twin = copy.deepcopy(model).train()  # a copy: buffers such as running means stay as they are
    own = {name: p for name, p in twin.named_parameters() if p.requires_grad}
    with torch.enable_grad():
        encode: Callable[[Tensor], Tensor] = getattr(twin, "encode")  # noqa: B009
        z = encode(inputs)
        slopes = torch.autograd.grad(z.sum(), list(own.values()), allow_unused=True)
    return [named[name] for name, slope in zip(own, slopes, strict=True) if slope is not None]


def warn_of_moving_statistics(model: nn.Module, *, why: str) -> None:
    """Warns where a batch in pieces is not the batch: layers that normalise over the batch see the piece."""
    kinds = (nn.modules.batchnorm._BatchNorm,)
    found = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    if found:
        warnings.warn(
            f"{why}: {found[0]!r} normalises over what it sees at once, which is a part of the batch, so the"
            " gradient is not that of the whole batch; LayerNorm or GroupNorm would not mind",
            RuntimeWarning,
            stacklevel=2,
        )


def coefficients_of(balancer: nn.Module, names: Sequence[str], like: Tensor) -> Tensor:
    """Asks a gradient balancer what it multiplied each loss by last, (k,); NaN where it does not say."""
    ask = getattr(balancer, "coefficients", None)
    told: Mapping[str, float] = ask() if callable(ask) else {}
    return torch.tensor(
        [float(told.get(name, torch.nan)) for name in names], dtype=like.dtype, device=like.device
    )
