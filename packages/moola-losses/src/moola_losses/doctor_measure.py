"""What the doctor measures at one step: gradients task by task, without leaving a trace.

``torch.autograd.grad`` walks the graph that is there anyway. It touches no ``.grad``, draws no random number
and runs no second forward pass. T tasks, P shared numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SATURATED = 0.98
"""An output whose gradient is at least this share of the steepest counts as saturated."""


@dataclass(frozen=True)
class OutputSlopes:
    """Gradient of one loss by its own outputs.

    Attributes:
        mass: Sum of absolute slopes. At most the loss's slope cap if it is a mean over elements, twice that
            for a softmax.
        elements: Number of outputs.
        steepest: Greatest absolute slope of one output.
        saturated: Share of the outputs with a slope whose slope is about the steepest: near 1 where a bounded
            loss is in its linear part.
    """

    mass: float
    elements: int
    steepest: float
    saturated: float


@dataclass
class Observation:
    """One measured step. Vectors are in the order of the tasks; nan where a task is absent or not measured.

    Attributes:
        step: Calls of the doctor before this one.
        losses: Values, [T].
        coefficients: What the total multiplies each loss by, [T].
        floors: Least value each loss can reach, [T].
        constants: What the best constant output reaches, [T].
        gramian: Products of the losses' gradients at the shared place, T rows of T.
        heads: Norm of each loss's gradient by its own head's parameters, [T].
        idle: Share of each head's parameter tensors without any gradient, [T].
        repeats: Product of each gradient with that of the observation before, [T].
        not_finite: Tasks whose loss was nan or infinite.
        outputs: Slopes by task, where outputs were given.
        changes: First-order change of each loss by the update that followed, [T].
        update: Norm of that update.
    """

    step: int
    losses: list[float]
    coefficients: list[float]
    floors: list[float]
    constants: list[float]
    gramian: list[list[float]]
    heads: list[float]
    idle: list[float]
    repeats: list[float]
    not_finite: tuple[str, ...] = ()
    outputs: dict[str, OutputSlopes] = field(default_factory=dict)
    changes: list[float] = field(default_factory=list)
    update: float = math.nan


@dataclass(frozen=True)
class Gradients:
    """Gradients of the present tasks' losses: rows at the shared place, and what is kept of the rest."""

    rows: Tensor  # (T, P); rows of absent tasks are nan
    heads: list[float]
    idle: list[float]
    outputs: dict[str, OutputSlopes]


def measure_gradients(
    losses: Mapping[str, Tensor],
    tasks: Sequence[str],
    *,
    place: Sequence[Tensor],
    heads: Mapping[str, Sequence[Tensor]],
    outputs: Mapping[str, Tensor],
) -> Gradients:
    """Differentiates every loss by the shared place, its head's parameters and its outputs, in one walk each.

    Args:
        losses: Finite scalars with graph, by task.
        tasks: All tasks; those without a loss get nan.
        place: Shared parameters, or the shared representation.
        heads: Parameters by task.
        outputs: What each loss was computed from, by task.
    """
    size = sum(p.numel() for p in place)
    device = place[0].device
    rows = torch.full((len(tasks), size), math.nan, device=device)
    norms, idle = [math.nan] * len(tasks), [math.nan] * len(tasks)
    slopes: dict[str, OutputSlopes] = {}
    for k, task in enumerate(tasks):
        if task not in losses:
            continue
        own = [p for p in heads.get(task, ()) if p.requires_grad]
        seen = [outputs[task]] if task in outputs else []
        wanted = [*place, *own, *seen]
        found = torch.autograd.grad(losses[task], wanted, retain_graph=True, allow_unused=True)
        shared, mine = found[: len(place)], found[len(place) : len(place) + len(own)]
        rows[k] = torch.cat(
            [
                (torch.zeros_like(p) if g is None else g).detach().flatten().float()
                for p, g in zip(place, shared, strict=True)
            ]
        )
        if own:
            each = torch.stack(
                [torch.zeros((), device=device) if g is None else g.detach().float().norm() for g in mine]
            ).tolist()
            norms[k], idle[k] = math.hypot(*each), sum(norm == 0 for norm in each) / len(each)
        if seen:
            slopes[task] = _slopes(found[-1], seen[0])
    return Gradients(rows, norms, idle, slopes)


def _slopes(gradient: Tensor | None, output: Tensor) -> OutputSlopes:
    if gradient is None:
        return OutputSlopes(0.0, output.numel(), 0.0, math.nan)
    size = gradient.detach().float().abs()
    steepest = size.max()
    sloping = (size > 1e-3 * steepest).sum()
    saturated = (size >= SATURATED * steepest).sum() / sloping
    mass, top, share = torch.stack([size.sum(), steepest, saturated]).tolist()
    return OutputSlopes(mass, output.numel(), top, share if top > 0 else math.nan)


def products(rows: Tensor, others: Tensor) -> Tensor:
    """Multiplies rows with rows, safe from over- and underflow by scaling each to length 1 first.

    Returns:
        f64 (T, T) on the CPU.
    """
    left, right = rows.norm(dim=1, keepdim=True), others.norm(dim=1, keepdim=True)
    cosines = (rows / torch.where(left > 0, left, 1)) @ (others / torch.where(right > 0, right, 1)).T
    lengths: Tensor = left.cpu().double() * right.cpu().double().T
    return cosines.cpu().double() * lengths
