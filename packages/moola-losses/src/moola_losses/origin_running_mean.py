"""The origin's loss normaliser: losses over their running means, then fixed weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class OriginRunningMean(Weighting):
    """v_k L_k / m_k with m_k a running mean, kept as it was with what is wrong with it.

    At call n: m := L where the task is new; then m := b m + (1-b) L if n is above the warm-up, else
    m := ((n-1) m + L) / n; the loss is left as it is where m <= 1e-8. n counts calls and not the task's own
    losses, so that a task which comes late has a mean that hardly moves. It starves whatever has a large
    value and a bounded slope: with pointers at .0095 and countdown at 15.9 and weights .7 and .1, the
    coefficients are 73.7 and .0063. Negative and zero losses are divided like others. Use `EMALoss`.

    Args:
        tasks: Names.
        weights: v by task; tasks left out weigh 1. The origin had type .10, pointers .70, span .10,
            countdown .10.
        momentum: b; the origin's .95, or .9 in its demonstration.
        warm_up: In calls; the origin's 10 by default, 5 in its trainer.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = OriginRunningMean(("a",), warm_up=2)
    >>> [round(float(balancer({"a": torch.tensor(v)})), 3) for v in (4.0, 2.0, 6.0)]
    [1.0, 0.667, 1.905]
    """

    claims: ClassVar[Claims] = Claims()
    weights: Tensor
    means: Tensor
    calls: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        weights: Mapping[str, float] | None = None,
        momentum: float = 0.95,
        warm_up: int = 10,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum: want a number from 0 to below 1, got {momentum}")
        if warm_up < 0:
            raise ValueError(f"warm_up: want 0 or more, got {warm_up}")
        self.momentum = momentum
        self.warm_up = warm_up
        self.register_buffer("weights", self.vector("weights", weights, default=1.0), persistent=False)
        nothing = torch.full((len(self.tasks),), float("nan"), dtype=torch.float64)
        self.register_buffer("means", nothing)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns v/m by present task."""
        mean = self.pick(self.means, positions)
        if self.training:
            self.calls.add_(1)
            n = self.calls.double()
            mean = torch.where(mean.isnan(), values.double(), mean)
            early = (mean * (n - 1) + values) / n
            late = self.momentum * mean + (1 - self.momentum) * values
            mean = torch.where(n > self.warm_up, late, early)
            self.put(self.means, positions, mean)
        inverse = torch.where(mean > 1e-8, 1 / mean, 1.0)
        return (self.pick(self.weights, positions) * inverse).to(values.dtype)


class OriginRunningMeanConfig(WeightingConfig):
    """Configuration of `OriginRunningMean`."""

    kind: Literal["origin_running_mean"] = "origin_running_mean"
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    warm_up: Annotated[int, Field(ge=0)] = 10

    def build(self, tasks: Sequence[str]) -> OriginRunningMean:
        """Makes the balancer."""
        return OriginRunningMean(
            tasks,
            weights=self.weights,
            momentum=self.momentum,
            warm_up=self.warm_up,
            **self.weighting_options(),
        )
