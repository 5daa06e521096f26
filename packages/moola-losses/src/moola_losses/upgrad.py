"""Unconflicting projection of gradients (Quinton and Rey, "Jacobian descent", 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np

from moola_losses.claims import Claims
from moola_losses.dual_cone import project_on_dual_cone
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix, unit_diagonal

Project = Literal["each", "mean"]


class UPGrad(GradientBalancer):
    """Mean of the tasks' gradients after projecting each onto the directions that conflict with no task.

    The projections are exact whatever the tasks' scales, so no task's loss rises to first order even where
    gradient norms differ a million times. ``project="mean"`` projects the mean gradient instead (DualProj,
    the rule of gradient episodic memory).

    Args:
        tasks: Names.
        project: What is projected: "each" gradient, or their "mean".
        options: As `GradientBalancer`; the mean is weighted by the preferences.
    """

    claims = Claims(
        scalar=False, shared=True, alone=True, twins=False, common_scale="equivariant", non_conflict=True
    )

    def __init__(
        self, tasks: Sequence[str], *, project: Project = "each", **options: Unpack[GradientOptions]
    ) -> None:
        super().__init__(tasks, **options)
        if project not in ("each", "mean"):
            raise ValueError(f"project: want 'each' or 'mean', got {project!r}")
        self.project = project

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights of the projected mean or of the mean of projections."""
        cosines, norms = unit_diagonal(gramian)
        preferences = read(self.preferences, positions)
        starts = np.diag(norms * preferences / preferences.sum())
        if self.project == "mean":
            return project_on_dual_cone(cosines, starts.sum(0)) / norms
        projected = np.stack([project_on_dual_cone(cosines, start) for start in starts])
        weights: Matrix = projected.sum(0) / norms
        return weights


class UPGradConfig(GradientConfig):
    """Configuration of `UPGrad`."""

    kind: Literal["upgrad"] = "upgrad"
    project: Project = "each"

    def build(self, tasks: Sequence[str]) -> UPGrad:
        """Makes the balancer."""
        return UPGrad(tasks, project=self.project, **self.gradient_options())
