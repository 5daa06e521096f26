"""Alpha-fair gradients (Ban and Ji, "Fair resource allocation in multi-task learning", ICML 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import numpy as np
from pydantic import Field

from moola_losses.claims import Claims
from moola_losses.fair_weights import fair_weights
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix


class FairGrad(GradientBalancer):
    """Maximises Σ p_k u_k^(1-alpha) / (1-alpha), u_k = g_k·d, over directions d: M w = (p/w)^(1/alpha).

    Alpha 1 is Nash bargaining, 2 the smallest potential delay, large alpha the good of the worst task. The
    convex problem is solved by damped Newton steps, to rounding. With all gradients times c, the direction is
    times c^((1-alpha)/(1+alpha)); preferences are brought to mean 1.

    Args:
        tasks: Names.
        alpha: Above 0.
        options: As `GradientBalancer`.
    """

    claims: ClassVar[Claims] = Claims(scalar=False, shared=True, alone=True)

    def __init__(
        self, tasks: Sequence[str], *, alpha: float = 2.0, **options: Unpack[GradientOptions]
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 < alpha < float("inf"):
            raise ValueError(f"alpha: want a finite number above 0, got {alpha}")
        self.alpha = alpha

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the alpha-fair weights.

        Raises:
            ValueError: If no direction lowers all losses at once.
        """
        preferences = read(self.preferences, positions)
        return fair_weights(gramian, alpha=self.alpha, preferences=preferences / np.mean(preferences))


class FairGradConfig(GradientConfig):
    """Configuration of `FairGrad`."""

    kind: Literal["fairgrad"] = "fairgrad"
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0

    def build(self, tasks: Sequence[str]) -> FairGrad:
        """Makes the balancer."""
        return FairGrad(tasks, alpha=self.alpha, **self.gradient_options())
