"""What a task loss is: a stateless callable that returns a weighted sum and the sum of its weights.

Sum and weight stay apart because only so micro-batches and ranks add up exactly: whoever calls divides at the
end. B batch; a target has shape (B, …).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

Reduction = Literal["element", "window_mean", "window_sum"]
"""What the weight counts: elements; windows, each by the mean or by the sum over its known elements."""


class LossSum(NamedTuple):
    """A loss before the division.

    Attributes:
        total: Weighted sum of the element losses, scalar, with gradient.
        weight: Sum of the weights, scalar; 0 where no target of the batch is known, and total is 0 then too.
    """

    total: Tensor
    weight: Tensor


class TaskLoss(Protocol):
    """Compares a model's output with a target. Every class of this package's losses has this form."""

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the weighted sum and the weight.

        Args:
            output: What the task's head returned, (B, …), float.
            target: What it should have been, (B, …).
            mask: bool, (B,) or the target's shape: True where the target is known. What stands elsewhere,
                nan included, has no influence.
            weight: float, (B,), at least 0: how much each example counts.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        ...


@runtime_checkable
class BoundedLoss(Protocol):
    """A task loss that knows between which values it moves. A plain function need not.

    Every class of this package's losses has both methods. They look at targets only, run without gradient and
    in 64 bits, and cost more than the loss: call them when something is to be judged, not at every step.
    """

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """As `TaskLoss`."""
        ...

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the least value any output can reach on these targets: 0, or the entropy of soft ones."""
        ...

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best output that is the same for every example."""
        ...


def weigh(mask: Tensor, weight: Tensor, *, target: Tensor) -> Tensor:
    """Spreads mask and example weights over the elements of a target.

    Args:
        mask: bool, (B,) or the target's shape.
        weight: float, (B,).
        target: (B, …).

    Returns:
        The weight of each element in the target's shape, 0 where masked.

    Raises:
        ValueError: If shapes or types do not fit.
    """
    B = target.shape[0]
    if mask.dtype != torch.bool:
        raise ValueError(f"mask: want bool, got {mask.dtype}")
    if mask.shape != target.shape and mask.shape != (B,):
        raise ValueError(f"mask: want shape ({B},) or {tuple(target.shape)}, got {tuple(mask.shape)}")
    if weight.shape != (B,):
        raise ValueError(f"weight: want shape ({B},), got {tuple(weight.shape)}")
    ones = (1,) * (target.ndim - 1)
    known = mask if mask.ndim == target.ndim else mask.reshape(B, *ones)
    return torch.where(known, weight.reshape(B, *ones), 0).expand(target.shape)


def reduced(weights: Tensor, *, reduction: Reduction) -> tuple[Tensor, Tensor]:
    """Turns element weights into those of a reduction.

    Args:
        weights: What `weigh` gave, (B, …).
        reduction: See `Reduction`.

    Returns:
        What each element loss is multiplied by, (B, …), and the sum of weights, scalar.
    """
    if reduction == "element":
        return weights, weights.sum()
    inner = tuple(range(1, weights.ndim))
    known = (weights > 0).sum(inner, keepdim=True).clamp(min=1) if inner else 1
    shares = weights / known
    return (shares if reduction == "window_mean" else weights), shares.sum()


def add_up(element_losses: Tensor, weights: Tensor, *, reduction: Reduction = "element") -> LossSum:
    """Adds weighted element losses up; an element of weight 0 adds nothing, whatever its loss."""
    factors, weight = reduced(weights, reduction=reduction)
    # Multiplying would make 0 * nan = nan of a masked element.
    return LossSum(torch.where(weights > 0, element_losses * factors, 0).sum(), weight)


def same_shape(output: Tensor, target: Tensor) -> None:
    """Checks that output and target agree in shape.

    Raises:
        ValueError: If they do not.
    """
    if output.shape != target.shape:
        raise ValueError(f"target: want the output's shape {tuple(output.shape)}, got {tuple(target.shape)}")


def full_precision(output: Tensor) -> Tensor:
    """Returns the output in at least 32 bits: half precision has too few digits for sums over bars."""
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
