"""Losses divided by their running mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.loss_mean import LossMean
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class EMALoss(Weighting):
    """w_k = 1 / m_k with m_k the exponential running mean of L_k - b_k, this step's included, free of bias.

    Give floors: without them a task whose loss is mostly the entropy of its soft targets is starved. A loss
    at or below its floor is refused, or lifted to `least`. Folklore; momentum 0 is `LogSum`.

    Args:
        tasks: Names.
        momentum: Of the mean, from 0 to below 1; about 1/(1 - momentum) steps are remembered.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = EMALoss(("type", "span"), momentum=0.5)
    >>> for loss in (3.0, 6.0):
    ...     total = balancer({"type": torch.tensor(loss), "span": torch.tensor(0.5)})
    >>> round(1 / balancer.coefficients()["type"], 6)  # (.25 * 3 + .5 * 6) / .75
    5.0
    """

    claims: ClassVar[Claims] = Claims(common_scale="invariant", each_scale=True, positive=True)

    def __init__(
        self, tasks: Sequence[str], *, momentum: float = 0.99, **options: Unpack[WeightingOptions]
    ) -> None:
        super().__init__(tasks, **options)
        self.mean = LossMean(len(self.tasks), momentum=momentum)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns 1/m by present task."""
        return (1 / self.mean.after(positions, values)).to(values.dtype)


class EMALossConfig(WeightingConfig):
    """Configuration of `EMALoss`."""

    kind: Literal["ema_loss"] = "ema_loss"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99

    def build(self, tasks: Sequence[str]) -> EMALoss:
        """Makes the balancer."""
        return EMALoss(tasks, momentum=self.momentum, **self.weighting_options())
