"""Losses divided by what they were at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.loss_mean import LossMean
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class InitialLoss(Weighting):
    """w_k = 1 / m_k with m_k the mean of the first n losses seen of task k (folklore; n = 1 is usual).

    During the first n steps m_k is the mean so far. A loss at or below its floor is refused, or lifted to
    `least`.

    Args:
        tasks: Names.
        first: n, 1 or more.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = InitialLoss(("type", "span"))
    >>> for loss in (4.0, 2.0):
    ...     total = balancer({"type": torch.tensor(loss), "span": torch.tensor(0.5)})
    >>> float(total)  # 2/4 + .5/.5
    1.5
    """

    claims: ClassVar[Claims] = Claims(common_scale="invariant", each_scale=True, positive=True)

    def __init__(self, tasks: Sequence[str], *, first: int = 1, **options: Unpack[WeightingOptions]) -> None:
        super().__init__(tasks, **options)
        self.mean = LossMean(len(self.tasks), momentum=None, first=first)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns 1/m by present task."""
        return (1 / self.mean.after(positions, values)).to(values.dtype)


class InitialLossConfig(WeightingConfig):
    """Configuration of `InitialLoss`."""

    kind: Literal["initial_loss"] = "initial_loss"
    first: Annotated[int, Field(ge=1)] = 1

    def build(self, tasks: Sequence[str]) -> InitialLoss:
        """Makes the balancer."""
        return InitialLoss(tasks, first=self.first, **self.weighting_options())
