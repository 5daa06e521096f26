"""Smooth Tchebycheff scalarisation (Lin et al., ICML 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.loss_mean import LossMean, Prenorm, prenormaliser
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class SmoothTchebycheff(Weighting):
    """The gradient of mu log sum_k exp(p_k (L_k - b_k) / (m_k mu)): w_k = softmax_k(...) / m_k.

    arXiv 2402.19078, with preferences for lambda, floors for the ideal point z, and m = 1: a smooth maximum,
    the more of it the smaller mu, so that the worst task leads. "Worst" depends on units unless `prenorm`
    divides the losses by what they were. Negative and zero losses are weighted like others without `prenorm`,
    and refused, or lifted to `least`, with it.

    Args:
        tasks: Names.
        smoothness: mu, above 0, in units of the losses.
        prenorm: m: "first" the first loss, "ema" a running mean, None 1 as in the paper.
        momentum: Of the running mean.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = SmoothTchebycheff(("type", "span"), smoothness=0.1)
    >>> _ = balancer({"type": torch.tensor(1.0), "span": torch.tensor(0.5)})
    >>> round(balancer.coefficients()["type"], 4)  # 1/(1 + exp(-.5/.1))
    0.9933
    """

    claims: ClassVar[Claims] = Claims()

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        smoothness: float = 1.0,
        prenorm: Prenorm | None = None,
        momentum: float = 0.99,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 < smoothness < float("inf"):
            raise ValueError(f"smoothness: want a finite number above 0, got {smoothness}")
        self.smoothness = smoothness
        self.mean: LossMean | None = prenormaliser(len(self.tasks), prenorm, momentum=momentum)

    def wants_positive(self) -> bool:
        """Says whether losses must be above their floors: to divide by them."""
        return self.mean is not None

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns each present task's share in the smooth maximum, over m."""
        scaled = self.pick(self.preferences, positions) * values / self.smoothness
        if self.mean is None:
            return scaled.softmax(0)
        means = self.mean.after(positions, values).to(values.dtype)
        return (scaled / means).softmax(0) / means


class STCHConfig(WeightingConfig):
    """Configuration of `SmoothTchebycheff`."""

    kind: Literal["stch"] = "stch"
    smoothness: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    prenorm: Prenorm | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99

    def build(self, tasks: Sequence[str]) -> SmoothTchebycheff:
        """Makes the balancer."""
        return SmoothTchebycheff(
            tasks,
            smoothness=self.smoothness,
            prenorm=self.prenorm,
            momentum=self.momentum,
            **self.weighting_options(),
        )
