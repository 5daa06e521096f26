"""Alignment of the gradients' principal directions (Senushkin et al., "Aligned-MTL", CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix, unit_diagonal

Scale = Literal["min", "median", "rmse"]
RANK = 1e-12


class Aligned(GradientBalancer):
    """Replaces the gradients by those with the same principal directions and all singular values equal.

    With singular values σ and left vectors U of the matrix of gradients, the weights are
    s U Σ^{-1} Uᵀ p, where p are the preferences with sum 1. Values below 1e-12 of the largest count as 0.

    Args:
        tasks: Names.
        scale: s: the least of the σ, their median (the lower one of two), or the root of the mean σ².
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, common_scale="equivariant")

    def __init__(
        self, tasks: Sequence[str], *, scale: Scale = "min", **options: Unpack[GradientOptions]
    ) -> None:
        super().__init__(tasks, **options)
        if scale not in ("min", "median", "rmse"):
            raise ValueError(f"scale: want 'min', 'median' or 'rmse', got {scale!r}")
        self.scale = scale

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights."""
        preferences = read(self.preferences, positions)
        cosines, norms = unit_diagonal(gramian)
        # A root of the cosines, with rows as long as the gradients, has their singular values; unlike the
        # Gramian's eigenvalues, these keep their digits when norms differ a million times.
        values, vectors = np.linalg.eigh(cosines)
        root = norms[:, None] * vectors * np.sqrt(values.clip(min=0.0))
        root[np.diagonal(gramian) == 0] = 0.0
        left, singular, _ = np.linalg.svd(root)
        kept = singular > RANK * singular[0]
        if not kept.any():
            return np.zeros(len(preferences))
        left, singular = left[:, kept], singular[kept]
        scale = {
            "min": singular[-1],
            "median": np.sort(singular)[(len(singular) - 1) // 2],
            "rmse": np.sqrt(np.mean(singular**2)),
        }[self.scale]
        weights: Matrix = scale * (left / singular) @ (left.T @ (preferences / preferences.sum()))
        return weights


class AlignedConfig(GradientConfig):
    """Configuration of `Aligned`."""

    kind: Literal["aligned"] = "aligned"
    scale: Scale = "min"

    def build(self, tasks: Sequence[str]) -> Aligned:
        """Makes the balancer."""
        return Aligned(tasks, scale=self.scale, **self.gradient_options())
