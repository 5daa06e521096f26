"""Weights that do not change: the plain weighted sum, hard to beat when the weights are chosen well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from moola_losses.balancer import Balancer, BalancerConfig, NonFinite


class Static(Balancer):
    """sum_k w_k L_k.

    Args:
        tasks: Names.
        weights: w by task, at least 0; tasks left out weigh 1, so without any this is the plain sum.
        non_finite: As `Balancer`.

    >>> import torch
    >>> balancer = Static(("type", "span"), weights={"span": 2.0})
    >>> float(balancer({"type": torch.tensor(1.0), "span": torch.tensor(3.0)}))
    7.0
    """

    weights: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        weights: Mapping[str, float] | None = None,
        non_finite: NonFinite = "refuse",
    ) -> None:
        super().__init__(tasks, non_finite=non_finite)
        vector = self.vector("weights", weights, default=1.0)
        if bool((vector < 0).any()):
            raise ValueError(f"weights: want numbers of at least 0, got {weights}")
        self.register_buffer("weights", vector)

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the weighted sum of the present tasks' losses."""
        positions, values = self.present(losses)
        return (self.pick(self.weights, positions) * values).sum()

    def coefficients(self) -> dict[str, float]:
        """Returns the weights by task."""
        return self.by_task(self.weights)


class StaticConfig(BalancerConfig):
    """Configuration of `Static`."""

    kind: Literal["static"] = "static"
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)

    def build(self, tasks: Sequence[str]) -> Static:
        """Makes the balancer."""
        return Static(tasks, weights=self.weights, non_finite=self.non_finite)
