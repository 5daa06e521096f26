"""Weighting by learned uncertainty (Kendall, Gal and Cipolla, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_losses.balancer import Balancer, BalancerConfig, NonFinite


class UncertaintyWeighting(Balancer):
    """sum_k L_k / (2 s_k²) + log s_k with one learned log s_k a task.

    For a fixed loss the best s_k is the root of L_k: in the end every task is weighted by 1/(2 L_k),
    whatever its loss is made of. Under Adam, log s moves by about one learning rate a step, so short runs
    show elapsed steps rather than a balance: give `log_sigma` a learning rate of its own, 10 to 100 times the
    model's, and no weight decay. The total may be negative.

    Args:
        tasks: Names.
        log_sigma: First values by task; tasks left out start at 0 (s = 1).
        non_finite: As `Balancer`.

    >>> balancer = UncertaintyWeighting(("pointers", "type"), log_sigma={"pointers": -0.3})
    >>> round(balancer.sigma()["pointers"], 4)
    0.7408
    """

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        log_sigma: Mapping[str, float] | None = None,
        non_finite: NonFinite = "refuse",
    ) -> None:
        super().__init__(tasks, non_finite=non_finite)
        self.log_sigma = nn.Parameter(self.vector("log_sigma", log_sigma, default=0.0))

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the weighted losses and the log s of the present tasks, added up."""
        positions, values = self.present(losses)
        log_sigma = self.pick(self.log_sigma, positions)
        return (values * torch.exp(-2 * log_sigma) / 2 + log_sigma).sum()

    def coefficients(self) -> dict[str, float]:
        """Returns 1/(2 s²) by task."""
        return self.by_task(torch.exp(-2 * self.log_sigma) / 2)

    def sigma(self) -> dict[str, float]:
        """Returns s by task."""
        return self.by_task(self.log_sigma.exp())


class UncertaintyConfig(BalancerConfig):
    """Configuration of `UncertaintyWeighting`."""

    kind: Literal["uncertainty"] = "uncertainty"
    log_sigma: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)

    def build(self, tasks: Sequence[str]) -> UncertaintyWeighting:
        """Makes the balancer."""
        return UncertaintyWeighting(tasks, log_sigma=self.log_sigma, non_finite=self.non_finite)
