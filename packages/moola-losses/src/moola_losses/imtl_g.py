"""Impartial weighting of gradients (Liu et al., "Towards impartial multi-task learning", ICLR 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix, unit_diagonal

RANK = 1e-12


class IMTLG(GradientBalancer):
    """The combination whose projections on all tasks' unit gradients are equal, with weights of sum 1.

    Weights may be negative, and where the weights of equal positive projections have a negative sum, the
    demand for sum 1 turns the direction round: every loss rises. `ConFIG` is the same line without that. With
    preferences the projections are in their proportion.

    Args:
        tasks: Names.
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, duplicate=True, common_scale="equivariant")

    def __init__(self, tasks: Sequence[str], **options: Unpack[GradientOptions]) -> None:
        super().__init__(tasks, **options)

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights.

        Raises:
            ValueError: If the weights of equal projections add up to 0, so that they cannot have sum 1.
        """
        weights = even_parts(gramian, read(self.preferences, positions))
        total = weights.sum()
        if abs(total) <= RANK * np.abs(weights).sum():
            raise ValueError("gradients: want weights that can have sum 1, got weights with sum 0")
        scaled: Matrix = weights / total
        return scaled


def even_parts(gramian: Matrix, preferences: Matrix) -> Matrix:
    """Returns weights of gradients whose sum's cosines with all of them are in proportion to the preferences.

    The least-squares solution of least length in the unit gradients; zero rows get 0.
    """
    cosines, norms = unit_diagonal(gramian)
    zero = np.diagonal(gramian) == 0
    cosines[zero, zero] = 0.0
    parts = np.linalg.pinv(cosines, rcond=RANK, hermitian=True) @ np.where(zero, 0.0, preferences)
    weights: Matrix = parts / norms
    return weights


class IMTLGConfig(GradientConfig):
    """Configuration of `IMTLG`."""

    kind: Literal["imtl_g"] = "imtl_g"

    def build(self, tasks: Sequence[str]) -> IMTLG:
        """Makes the balancer."""
        return IMTLG(tasks, **self.gradient_options())
