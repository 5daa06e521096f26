"""Gradient vaccine (Wang et al., "Gradient Vaccine", ICLR 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Unpack

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix, unit_diagonal
from moola_losses.pcgrad import Order, visiting_order


class GradVac(GradientBalancer):
    """Turns a gradient towards another wherever their cosine is below its running mean φ, then adds all up.

    For task i and every other j, in random order: if ρ = cos(g_i, g_j) < φ_ij, then g_j times
    ‖g_i‖ (φ √(1-ρ²) - ρ √(1-φ²)) / (‖g_j‖ √(1-φ²)) is added to g_i, which makes their cosine φ; then φ_ij
    moves to (1-β) φ_ij + β ρ. From φ = 0 the first step is `PCGrad`.

    Args:
        tasks: Names.
        beta: How fast φ follows, in 0..1.
        order: As `PCGrad`.
        seed: As `PCGrad`.
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, twins=False, common_scale="equivariant")

    steps: Tensor
    goals: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        beta: float = 0.5,
        order: Order = "random",
        seed: int = 0,
        **options: Unpack[GradientOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta: want a number in 0..1, got {beta}")
        if order not in ("random", "given"):
            raise ValueError(f"order: want 'random' or 'given', got {order!r}")
        if seed < 0:
            raise ValueError(f"seed: want at least 0, got {seed}")
        self.beta = beta
        self.order = order
        self.seed = seed
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("goals", torch.zeros((len(self.tasks),) * 2, dtype=torch.float64))

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the sum of the turned gradients, each times its task's preference, as weights."""
        cosines, norms = unit_diagonal(gramian)
        visits = visiting_order(len(gramian), self.order, self.seed, int(self.steps))
        goals = np.array(self.goals.tolist())[np.ix_(positions, positions)]
        preferences = read(self.preferences, positions)
        total = np.zeros(len(gramian))
        for task, others in enumerate(visits):
            parts = np.zeros(len(gramian))
            parts[task] = 1.0
            for other in others:
                length = math.sqrt(max(float(parts @ cosines @ parts), 0.0))
                if length == 0 or gramian[other, other] == 0:
                    continue
                cosine = min(max(float(cosines[other] @ parts) / length, -1.0), 1.0)
                goal = float(goals[task, other])
                if cosine < goal:
                    # A goal of 1 cannot be reached by adding any finite multiple.
                    across = np.sqrt(max(1 - goal * goal, 1e-16))
                    parts[other] += length * (goal * np.sqrt(1 - cosine * cosine) - cosine * across) / across
                goals[task, other] = (1 - self.beta) * goal + self.beta * cosine
            total += preferences[task] * norms[task] * parts
        if self.training:
            self.steps += 1
            places = torch.tensor(positions, device=self.goals.device)
            self.goals[places[:, None], places] = torch.from_numpy(goals).to(self.goals)
        weights: Matrix = total / norms
        return weights


class GradVacConfig(GradientConfig):
    """Configuration of `GradVac`."""

    kind: Literal["gradvac"] = "gradvac"
    beta: Annotated[float, Field(ge=0, le=1)] = 0.5
    order: Order = "random"
    seed: Annotated[int, Field(ge=0)] = 0

    def build(self, tasks: Sequence[str]) -> GradVac:
        """Makes the balancer."""
        return GradVac(tasks, beta=self.beta, order=self.order, seed=self.seed, **self.gradient_options())
