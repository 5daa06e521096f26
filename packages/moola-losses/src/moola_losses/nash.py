"""Multi-task learning as a bargaining game (Navon et al., "Nash-MTL", ICML 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

from moola_losses.claims import Claims
from moola_losses.fairgrad import FairGrad
from moola_losses.gradient_balancer import GradientConfig, GradientOptions
from moola_losses.gramian import Matrix


class Nash(FairGrad):
    """The Nash bargaining solution: M w = 1/w, so every task gains in proportion to what its gradient offers.

    The direction does not feel any task's scale; its length is the root of the number of tasks. The length
    varies with the batch in no way at all, so under SGD a learning rate means something else than elsewhere:
    `max_norm` shortens it, as the authors do.

    Args:
        tasks: Names.
        max_norm: Directions longer than this are shortened to it; None leaves them.
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, common_scale="invariant", each_scale=True)

    def __init__(
        self, tasks: Sequence[str], *, max_norm: float | None = None, **options: Unpack[GradientOptions]
    ) -> None:
        super().__init__(tasks, alpha=1.0, **options)
        if max_norm is not None and not 0 < max_norm < float("inf"):
            raise ValueError(f"max_norm: want a finite number above 0 or None, got {max_norm}")
        self.max_norm = max_norm

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the bargaining weights.

        Raises:
            ValueError: If no direction lowers all losses at once.
        """
        weights = super().weigh(gramian, losses, positions)
        length = float(weights @ gramian @ weights) ** 0.5
        return (
            weights
            if self.max_norm is None or length <= self.max_norm
            else weights * (self.max_norm / length)
        )


class NashConfig(GradientConfig):
    """Configuration of `Nash`."""

    kind: Literal["nash"] = "nash"
    max_norm: float | None = None

    def build(self, tasks: Sequence[str]) -> Nash:
        """Makes the balancer."""
        return Nash(tasks, max_norm=self.max_norm, **self.gradient_options())
