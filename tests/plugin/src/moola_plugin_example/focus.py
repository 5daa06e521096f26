"""A balancer: the larger a loss is against its own running mean, the more it weighs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.loss_mean import LossMean
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class Focus(Weighting):
    """w_k = (L_k / m_k)^power / m_k with the running mean m_k of the loss above its floor.

    Args:
        tasks: Names.
        power: How hard to lean on the task that does worse than it used to; 0 only brings losses to one size.
        options: As `Weighting`.
    """

    claims: ClassVar[Claims] = Claims(positive=True, each_scale=True)

    def __init__(
        self, tasks: Sequence[str], *, power: float = 1.0, **options: Unpack[WeightingOptions]
    ) -> None:
        super().__init__(tasks, **options)
        self.power = power
        self.mean = LossMean(len(self.tasks), momentum=0.9)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns the weights by present task."""
        means = self.mean.after(positions, values).to(values.dtype)
        return (values / means) ** self.power / means


class FocusConfig(WeightingConfig):
    """Configuration of `Focus`."""

    kind: Literal["example_focus"] = "example_focus"
    power: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0

    def build(self, tasks: Sequence[str]) -> Focus:
        """Makes the balancer."""
        return Focus(tasks, power=self.power, **self.weighting_options())
