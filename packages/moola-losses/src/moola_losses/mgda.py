"""Multiple-gradient descent (Désidéri 2012; Sener and Koltun, NeurIPS 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Unpack

import numpy as np

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix
from moola_losses.simplex_minimum import simplex_minimum

Normaliser = Literal["none", "norm", "loss", "loss_norm"]


class MGDA(GradientBalancer):
    """The shortest vector in the convex hull of the tasks' gradients: the steepest common descent.

    Found exactly. Without a normaliser the smallest gradient dominates: where norms differ a hundred times,
    little more than that task is trained.

    Args:
        tasks: Names.
        normaliser: What each gradient is divided by first: nothing, its "norm", its "loss" above the floor,
            or their product.
        options: As `GradientBalancer`. A task with preference p lowers p times as fast as the others that
            matter.
    """

    claims = Claims(
        scalar=False,
        shared=True,
        alone=True,
        twins=False,
        duplicate=True,
        common_scale="equivariant",
        non_conflict=True,
    )

    def __init__(
        self, tasks: Sequence[str], *, normaliser: Normaliser = "none", **options: Unpack[GradientOptions]
    ) -> None:
        super().__init__(tasks, **options)
        if normaliser not in ("none", "norm", "loss", "loss_norm"):
            raise ValueError(f"normaliser: want 'none', 'norm', 'loss' or 'loss_norm', got {normaliser!r}")
        self.normaliser = normaliser
        if normaliser != "none":  # what it promises hangs on the setting
            self.__dict__["claims"] = replace(
                self.claims, common_scale=None if normaliser == "loss_norm" else "invariant"
            )

    def wants_positive(self) -> bool:
        """Says whether losses must be above their floors: where gradients are divided by them."""
        return self.normaliser in ("loss", "loss_norm")

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights of the shortest vector, times what the gradients were divided by."""
        preferences = read(self.preferences, positions)
        divisor = preferences / preferences.mean()
        norms = np.sqrt(np.diagonal(gramian))
        if self.normaliser in ("norm", "loss_norm"):
            divisor = divisor * np.where(norms > 0, norms, 1.0)
        if self.normaliser in ("loss", "loss_norm"):
            divisor = divisor * losses
        weights: Matrix = simplex_minimum(gramian / divisor[:, None] / divisor) / divisor
        return weights


class MGDAConfig(GradientConfig):
    """Configuration of `MGDA`."""

    kind: Literal["mgda"] = "mgda"
    normaliser: Normaliser = "none"

    def build(self, tasks: Sequence[str]) -> MGDA:
        """Makes the balancer."""
        return MGDA(tasks, normaliser=self.normaliser, **self.gradient_options())
