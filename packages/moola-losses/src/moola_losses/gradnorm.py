"""Gradient normalisation (Chen et al., "GradNorm", ICML 2018), without a second backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Unpack

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read, write
from moola_losses.gramian import Matrix

Units = Literal["absolute", "relative"]


class GradNorm(GradientBalancer):
    """Learns weights by which all tasks' weighted gradients w_k n_k come near a common size.

    The size wanted of task k is the mean of the w_k n_k, times p_k r_k^alpha: r_k is its loss over its first
    loss, over the mean of that over the tasks, so slow tasks get more. Weights follow the gradient of
    Σ |w_k n_k - wanted_k|, which is sign(w_k n_k - wanted_k) n_k: it needs the norms n_k and no gradient of a
    gradient. After each step they are brought to mean 1. A step uses the weights that earlier steps made.

    Args:
        tasks: Names.
        alpha: At least 0; 0 wants equal sizes.
        learning_rate: Of the weights, above 0.
        units: Of the norms: "absolute", as published, where the weights learn in proportion to the gradients'
            size; "relative" divides them by their mean first, so that the losses' common scale plays no part.
        least: No weight gets below this share of 1, above 0; a large step would turn it negative.
        options: As `GradientBalancer`. Losses must be above their floors at their first step.
    """

    claims = Claims(scalar=False, shared=True, alone=True, positive=True)
    own_heads = "weighted"

    weights: Tensor
    first: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        units: Units = "absolute",
        least: float = 1e-3,
        **options: Unpack[GradientOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"alpha: want a finite number of at least 0, got {alpha}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate: want a finite number above 0, got {learning_rate}")
        if units not in ("absolute", "relative"):
            raise ValueError(f"units: want 'absolute' or 'relative', got {units!r}")
        if not 0 < least < 1:
            raise ValueError(f"least: want a number in 0..1, both exclusive, got {least}")
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.units = units
        self.least = least
        self.register_buffer("weights", torch.ones(len(self.tasks), dtype=torch.float64))
        self.register_buffer("first", torch.full((len(self.tasks),), float("nan"), dtype=torch.float64))

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights of before this step, brought to mean 1 over these tasks, and moves them."""
        kept = read(self.weights, positions)
        used: Matrix = kept / kept.mean()
        first = read(self.first, positions)
        first = np.where(np.isnan(first), losses, first)
        norms = np.sqrt(np.diagonal(gramian))
        if self.units == "relative" and norms.any():
            norms = norms / norms.mean()
        preferences = read(self.preferences, positions)
        progress = losses / first
        wanted = (used * norms).mean() * (progress / progress.mean()) ** self.alpha
        wanted = wanted * preferences / preferences.mean()
        moved = used - self.learning_rate * np.sign(used * norms - wanted) * norms
        moved = np.maximum(moved, self.least)
        if self.training:
            write(self.first, positions, first)
            write(self.weights, positions, moved / moved.mean() * kept.mean())
        return used


class GradNormConfig(GradientConfig):
    """Configuration of `GradNorm`."""

    kind: Literal["gradnorm"] = "gradnorm"
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.5
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.025
    units: Units = "absolute"
    least: Annotated[float, Field(gt=0, lt=1)] = 1e-3

    def build(self, tasks: Sequence[str]) -> GradNorm:
        """Makes the balancer."""
        return GradNorm(
            tasks,
            alpha=self.alpha,
            learning_rate=self.learning_rate,
            units=self.units,
            least=self.least,
            **self.gradient_options(),
        )
