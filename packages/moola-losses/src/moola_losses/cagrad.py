"""Conflict-averse gradient descent (Liu et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Unpack

import numpy as np
from pydantic import Field

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix
from moola_losses.simplex_minimum import simplex_minimum

Rescale = Literal["none", "one_plus_c", "one_plus_c_squared"]


class CAGrad(GradientBalancer):
    """Within c ‖g_0‖ around the mean gradient g_0, the direction that lowers the worst task most.

    It is g_0 + c ‖g_0‖ g_w / ‖g_w‖, where g_w = Σ w_k g_k with w on the simplex makes
    g_w·g_0 + c ‖g_0‖ ‖g_w‖ least; w is found exactly.

    Args:
        tasks: Names.
        c: Radius, in 0 (the mean) to 1 (exclusive).
        rescale: What the direction is divided by: nothing, 1 + c or 1 + c².
        options: As `GradientBalancer`; the mean is weighted by the preferences.
    """

    claims = Claims(scalar=False, shared=True, alone=True, twins=False, common_scale="equivariant")

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        c: float = 0.4,
        rescale: Rescale = "none",
        **options: Unpack[GradientOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 <= c < 1:
            raise ValueError(f"c: want a number of at least 0 and below 1, got {c}")
        if rescale not in ("none", "one_plus_c", "one_plus_c_squared"):
            raise ValueError(f"rescale: want 'none', 'one_plus_c' or 'one_plus_c_squared', got {rescale!r}")
        self.c = c
        self.rescale = rescale

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights of the direction.

        Raises:
            ValueError: If no direction lowers all losses, so that ‖g_w‖ is 0.
        """
        preferences = read(self.preferences, positions)
        mean = preferences / preferences.sum()
        divisor = {"none": 1.0, "one_plus_c": 1 + self.c, "one_plus_c_squared": 1 + self.c**2}[self.rescale]
        slope = gramian @ mean
        radius = self.c * float(np.sqrt(max(mean @ slope, 0.0)))
        if radius == 0:
            plain: Matrix = mean / divisor
            return plain
        inner = simplex_minimum(gramian, slope=slope, push=radius)
        products = gramian @ inner
        length = float(inner @ products)
        if length <= 1e-20 * float(inner @ np.diagonal(gramian)):
            raise ValueError(
                "gradients: want a direction that lowers every loss, got a zero gradient or a point where no "
                "such direction exists"
            )
        weights: Matrix = (mean + radius * inner / np.sqrt(length)) / divisor
        return weights


class CAGradConfig(GradientConfig):
    """Configuration of `CAGrad`."""

    kind: Literal["cagrad"] = "cagrad"
    c: Annotated[float, Field(ge=0, lt=1)] = 0.4
    rescale: Rescale = "none"

    def build(self, tasks: Sequence[str]) -> CAGrad:
        """Makes the balancer."""
        return CAGrad(tasks, c=self.c, rescale=self.rescale, **self.gradient_options())
