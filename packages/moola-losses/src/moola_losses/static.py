"""Weights that do not change: the plain weighted sum, hard to beat when the weights are chosen well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor

from moola_losses.balancer import Balancer, BalancerConfig, Options
from moola_losses.claims import Claims


class Static(Balancer):
    """sum_k p_k w_k (L_k - b_k).

    Negative and zero losses are weighted like others.

    Args:
        tasks: Names.
        weights: w by task, at least 0; tasks left out weigh 1, so without any this is the plain sum.
        options: As `Balancer`.

    >>> import torch
    >>> balancer = Static(("type", "span"), weights={"span": 2.0})
    >>> float(balancer({"type": torch.tensor(1.0), "span": torch.tensor(3.0)}))
    7.0
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", alone=True)
    weights: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        weights: Mapping[str, float] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(tasks, **options)
        vector = self.vector("weights", weights, default=1.0)
        if bool((vector < 0).any()):
            raise ValueError(f"weights: want numbers of at least 0, got {weights}")
        self.register_buffer("weights", vector)

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the weighted sum of the present tasks' losses."""
        positions, values = self.present(losses)
        return (self.pick(self.weights * self.preferences, positions) * values).sum()

    def coefficients(self) -> dict[str, float]:
        """Returns the weights times the preferences by task."""
        return self.by_task(self.weights * self.preferences)


class StaticConfig(BalancerConfig):
    """Configuration of `Static`."""

    kind: Literal["static"] = "static"
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)

    def build(self, tasks: Sequence[str]) -> Static:
        """Makes the balancer."""
        return Static(tasks, weights=self.weights, **self.options())
