"""Projecting conflicting gradients (Yu et al., "Gradient surgery for multi-task learning", NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Unpack

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read
from moola_losses.gramian import Matrix, unit_diagonal

Order = Literal["random", "given"]


class PCGrad(GradientBalancer):
    """Every task's gradient loses what points against another task's gradient; the results are added up.

    The others are visited one after another, in an order drawn anew for each task and step. The draw is made
    of `seed` and the number of steps so far, so no random generator is touched and a resumed run goes on as
    the straight one; all processes of a data-parallel run draw the same.

    Args:
        tasks: Names.
        order: "random", or "given": by name.
        seed: At least 0.
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, twins=False, common_scale="equivariant")

    steps: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        order: Order = "random",
        seed: int = 0,
        **options: Unpack[GradientOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if order not in ("random", "given"):
            raise ValueError(f"order: want 'random' or 'given', got {order!r}")
        if seed < 0:
            raise ValueError(f"seed: want at least 0, got {seed}")
        self.order = order
        self.seed = seed
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the sum of the projections, each times its task's preference, as weights."""
        cosines, norms = unit_diagonal(gramian)
        visits = visiting_order(len(gramian), self.order, self.seed, int(self.steps))
        if self.training:
            self.steps += 1
        preferences = read(self.preferences, positions)
        total = np.zeros(len(gramian))
        for task, others in enumerate(visits):
            parts = np.zeros(len(gramian))
            parts[task] = 1.0
            for other in others:
                parts[other] -= min(float(cosines[other] @ parts), 0.0)
            total += preferences[task] * norms[task] * parts
        weights: Matrix = total / norms
        return weights


def visiting_order(tasks: int, order: Order, seed: int, step: int) -> list[list[int]]:
    """Returns for each task the others, in the order in which they are visited at this step."""
    if order == "given":
        return [[j for j in range(tasks) if j != i] for i in range(tasks)]
    random = np.random.default_rng([seed, step])
    return [[int(j) for j in random.permutation(tasks) if j != i] for i in range(tasks)]


class PCGradConfig(GradientConfig):
    """Configuration of `PCGrad`."""

    kind: Literal["pcgrad"] = "pcgrad"
    order: Order = "random"
    seed: Annotated[int, Field(ge=0)] = 0

    def build(self, tasks: Sequence[str]) -> PCGrad:
        """Makes the balancer."""
        return PCGrad(tasks, order=self.order, seed=self.seed, **self.gradient_options())
