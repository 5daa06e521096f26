"""Soft optimal uncertainty weighting (Kirchdorfer et al., GCPR 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.loss_mean import LossMean, Prenorm, prenormaliser
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class SoftUncertainty(Weighting):
    """w_k = softmax_k((1/l_k)/T) / m_k with l_k = (L_k - b_k)/m_k.

    arXiv 2408.07985, where m = 1: 1/L is what `UncertaintyWeighting` ends at, and the softmax tempers it. On
    raw losses of different units the smallest loss takes everything at usual temperatures (losses 2, .01, .7,
    1.5 and T = 5: weight 1.000 on the second); so m is by default the running mean. A loss at or below its
    floor is refused, or lifted to `least`.

    Args:
        tasks: Names.
        temperature: T, above 0; large values come near equal weights.
        prenorm: m: "ema" a running mean, "first" the first loss, None 1 as in the paper.
        momentum: Of the running mean.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = SoftUncertainty(("type", "span"), prenorm=None)
    >>> _ = balancer({"type": torch.tensor(1.0), "span": torch.tensor(0.5)})
    >>> round(balancer.coefficients()["span"], 4)  # e²/(e + e²)
    0.7311
    """

    claims: ClassVar[Claims] = Claims(positive=True)

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        temperature: float = 1.0,
        prenorm: Prenorm | None = "ema",
        momentum: float = 0.99,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature: want a finite number above 0, got {temperature}")
        self.temperature = temperature
        self.mean: LossMean | None = prenormaliser(len(self.tasks), prenorm, momentum=momentum)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns the tempered inverse losses by present task."""
        if self.mean is None:
            return (1 / (values * self.temperature)).softmax(0)
        means = self.mean.after(positions, values).to(values.dtype)
        return (means / (values * self.temperature)).softmax(0) / means


class UWSOConfig(WeightingConfig):
    """Configuration of `SoftUncertainty`."""

    kind: Literal["uw_so"] = "uw_so"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    prenorm: Prenorm | None = "ema"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99

    def build(self, tasks: Sequence[str]) -> SoftUncertainty:
        """Makes the balancer."""
        return SoftUncertainty(
            tasks,
            temperature=self.temperature,
            prenorm=self.prenorm,
            momentum=self.momentum,
            **self.weighting_options(),
        )
