"""Huber's loss: squares near the target, a straight line far from it (Huber 1964)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.protocol import LossSum, Reduction, add_up, full_precision, reduced, same_shape, weigh

Apart = Literal["nothing", "outputs"]
"""Of a constant: one number for all elements, or one for each place of the last axis."""
Delta = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Huber:
    """r²/2 where the error r is at most delta, delta (|r| - delta/2) beyond: its slope is capped at delta.

    So a small delta also makes the whole task's gradient small; `UnitHuber` does not.

    Args:
        delta: Where the line begins, in the unit of the target.
        reduction: What the weight counts: "element"; "window_mean", every window alike however many of its
            elements are known; "window_sum".

    >>> known = torch.tensor([True, True])
    >>> loss = Huber(delta=1.0)(torch.tensor([0.5, 3.0]), torch.zeros(2), known, torch.ones(2))
    >>> float(loss.total), float(loss.weight)  # 0.125 + 2.5
    (2.625, 2.0)
    """

    kind: Literal["huber"] = "huber"
    delta: Delta = 1.0
    reduction: Reduction = "element"

    @property
    def slope_cap(self) -> float:
        """Greatest slope by one output of an element of weight 1: delta."""
        return self.delta

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares numbers, each an element: pointers (B, 2), countdown (B, K).

        Args:
            output: (B, …).
            target: The output's shape; any number, nan included, where masked.
            mask: bool, (B,) or the target's shape.
            weight: float, (B,).

        Returns:
            The weighted sum over elements, in the target's unit squared, and the weight.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        return _huber(self.delta, output, target, mask, weight, reduction=self.reduction)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: every number can be met."""
        return _nothing(target, mask, weight, reduction=self.reduction)

    def constant(
        self, target: Tensor, mask: Tensor, weight: Tensor, /, *, apart: Apart = "nothing"
    ) -> LossSum:
        """Returns the value of the best constant, which lies between median (delta 0) and mean.

        Args:
            target: As in the call, and so mask and weight.
            mask: As there.
            weight: As there.
            apart: One number for all elements, or one for each place of the last axis: right for pointers,
                whose two outputs mean two things.
        """
        return _constant(self.delta, target, mask, weight, reduction=self.reduction, apart=apart)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class UnitHuber:
    """`Huber` divided by delta: r²/(2 delta) near, |r| - delta/2 beyond; its slope is capped at 1.

    Changing delta then moves the corner and not the weight of the task. torch calls it smooth L1.

    Args:
        delta: Where the line begins, in the unit of the target.
        reduction: What the weight counts: "element"; "window_mean", every window alike however many of its
            elements are known; "window_sum".
    """

    kind: Literal["unit_huber"] = "unit_huber"
    delta: Delta = 1.0
    reduction: Reduction = "element"

    @property
    def slope_cap(self) -> float:
        """Greatest slope by one output of an element of weight 1: 1."""
        return 1.0

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares numbers; arguments and errors as `Huber`; the sum is in the target's unit."""
        loss = _huber(self.delta, output, target, mask, weight, reduction=self.reduction)
        return LossSum(loss.total / self.delta, loss.weight)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: every number can be met."""
        return _nothing(target, mask, weight, reduction=self.reduction)

    def constant(
        self, target: Tensor, mask: Tensor, weight: Tensor, /, *, apart: Apart = "nothing"
    ) -> LossSum:
        """Returns the value of the best constant; arguments as `Huber.constant`."""
        best = _constant(self.delta, target, mask, weight, reduction=self.reduction, apart=apart)
        return LossSum(best.total / self.delta, best.weight)


def _huber(
    delta: float, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, *, reduction: Reduction
) -> LossSum:
    same_shape(output, target)
    weights = weigh(mask, weight, target=target)
    output = full_precision(output)
    error = (output - torch.where(weights > 0, target.to(output.dtype), 0)).abs()
    return add_up(_bend(error, delta), weights, reduction=reduction)


def _bend(error: Tensor, delta: float) -> Tensor:
    near = error.clamp(max=delta)
    # One expression for both branches: near the target error - near is 0, far from it near is delta.
    return near * near / 2 + delta * (error - near)


def _nothing(target: Tensor, mask: Tensor, weight: Tensor, *, reduction: Reduction) -> LossSum:
    weights = weigh(mask, weight, target=target)
    return add_up(torch.zeros_like(weights, dtype=torch.float64), weights, reduction=reduction)


def _constant(
    delta: float, target: Tensor, mask: Tensor, weight: Tensor, *, reduction: Reduction, apart: Apart
) -> LossSum:
    """Halves the interval of targets: the slope sum of w clamp(c - t, -delta, delta) rises with c."""
    weights = weigh(mask, weight, target=target)
    factors, whole = reduced(weights, reduction=reduction)
    columns = target.shape[-1] if apart == "outputs" and target.ndim > 1 else 1
    known = (weights > 0).reshape(-1, columns)
    t = torch.where(known, target.double().reshape(-1, columns), 0)
    w = torch.where(known, factors.double().reshape(-1, columns), 0)
    if not len(t):
        return LossSum(w.sum(), whole)
    low, high = t.amin(0), t.amax(0)
    for _ in range(100):
        middle = (low + high) / 2
        rising = (w * (middle - t).clamp(-delta, delta)).sum(0) > 0
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return LossSum((w * _bend(((low + high) / 2 - t).abs(), delta)).sum(), whole)
