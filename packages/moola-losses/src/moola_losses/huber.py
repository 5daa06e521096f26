"""Huber's loss: squares near the target, a straight line far from it (Huber 1964)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.protocol import LossSum, add_up, full_precision, same_shape, weigh

Delta = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Huber:
    """r²/2 where the error r is at most delta, delta (|r| - delta/2) beyond: its slope is capped at delta.

    So a small delta also makes the whole task's gradient small; `UnitHuber` does not.

    Args:
        delta: Where the line begins, in the unit of the target.

    >>> known = torch.tensor([True, True])
    >>> loss = Huber(delta=1.0)(torch.tensor([0.5, 3.0]), torch.zeros(2), known, torch.ones(2))
    >>> float(loss.total), float(loss.weight)  # 0.125 + 2.5
    (2.625, 2.0)
    """

    kind: Literal["huber"] = "huber"
    delta: Delta = 1.0

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
        return _huber(self.delta, output, target, mask, weight)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class UnitHuber:
    """`Huber` divided by delta: r²/(2 delta) near, |r| - delta/2 beyond; its slope is capped at 1.

    Changing delta then moves the corner and not the weight of the task. torch calls it smooth L1.

    Args:
        delta: Where the line begins, in the unit of the target.
    """

    kind: Literal["unit_huber"] = "unit_huber"
    delta: Delta = 1.0

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares numbers; arguments and errors as `Huber`; the sum is in the target's unit."""
        loss = _huber(self.delta, output, target, mask, weight)
        return LossSum(loss.total / self.delta, loss.weight)


def _huber(delta: float, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> LossSum:
    same_shape(output, target)
    weights = weigh(mask, weight, target=target)
    output = full_precision(output)
    error = (output - torch.where(weights > 0, target.to(output.dtype), 0)).abs()
    near = error.clamp(max=delta)
    # One expression for both branches: near the target error - near is 0, far from it near is delta.
    return add_up(near * near / 2 + delta * (error - near), weights)
