"""Conflict-free inverse gradients (Liu, Chu and Thuerey, "ConFIG", ICLR 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix
from moola_losses.imtl_g import even_parts


class ConFIG(GradientBalancer):
    """The direction with the same positive cosine to every task's gradient, as long as Σ g_k·d̂.

    The direction does not feel any task's scale. With preferences the cosines are in their proportion.

    Args:
        tasks: Names.
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, common_scale="equivariant", each_scale=True)

    def __init__(self, tasks: Sequence[str], **options: Unpack[GradientOptions]) -> None:
        super().__init__(tasks, **options)

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights; zeros where all gradients cancel."""
        weights = even_parts(gramian, read(self.preferences, positions))
        products = gramian @ weights
        square = float(weights @ products)
        # Length Σ g_k·d / ‖d‖ along d / ‖d‖.
        return weights * (float(np.sum(products)) / square) if square > 0 else np.zeros(len(weights))


class ConFIGConfig(GradientConfig):
    """Configuration of `ConFIG`."""

    kind: Literal["conflict_free"] = "conflict_free"

    def build(self, tasks: Sequence[str]) -> ConFIG:
        """Makes the balancer."""
        return ConFIG(tasks, **self.gradient_options())
