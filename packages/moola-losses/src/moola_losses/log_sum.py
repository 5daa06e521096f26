"""The sum of log losses, which no task's unit can change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.weighting import Weighting, WeightingConfig


class LogSum(Weighting):
    """The gradient of sum_k p_k log(L_k - b_k), that is w_k = 1 / (L_k - b_k).

    The scale-invariant baseline of Nash-MTL (Navon et al., ICML 2022, arXiv 2202.01017) and half of DB-MTL.
    Uncertainty weighting, IMTL-L and FAMO give these weights at their optimum or start, but for a common
    factor. Needs floors as much as `EMALoss`. A loss at or below its floor is refused, or lifted to `least`.

    Args:
        tasks: Names.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = LogSum(("type", "span"))
    >>> _ = balancer({"type": torch.tensor(4.0), "span": torch.tensor(0.5)})
    >>> balancer.coefficients()
    {'type': 0.25, 'span': 2.0}
    """

    claims: ClassVar[Claims] = Claims(common_scale="invariant", each_scale=True, positive=True)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns 1/L by present task."""
        return 1 / values


class LogSumConfig(WeightingConfig):
    """Configuration of `LogSum`."""

    kind: Literal["log_sum"] = "log_sum"

    def build(self, tasks: Sequence[str]) -> LogSum:
        """Makes the balancer."""
        return LogSum(tasks, **self.weighting_options())
