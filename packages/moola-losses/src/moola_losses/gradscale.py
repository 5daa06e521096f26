"""Scaling by gradient norms: the balancer of Défossez et al., "High fidelity neural audio compression"."""

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


class GradScale(GradientBalancer):
    """w_k = p_k / n_k, where n_k is a running mean of the norm of task k's gradient.

    So every task pulls at what is shared in proportion to its preference, whatever its loss is made of. The
    weights of the present tasks are brought to geometric mean 1. The running mean is Σ β^(t-s) ‖g_k(s)‖ over
    the steps s at which the task was present, divided by Σ β^(t-s), so that it starts without bias. Heads are
    weighted too, as in a plain weighted sum.

    Args:
        tasks: Names.
        beta: Memory of the running mean, in 0 (the last step alone) to 1 (exclusive).
        options: As `GradientBalancer`.
    """

    claims = Claims(scalar=False, shared=True, alone=True, common_scale="equivariant", each_scale=True)
    own_heads = "weighted"

    norm_sum: Tensor
    weight_sum: Tensor

    def __init__(
        self, tasks: Sequence[str], *, beta: float = 0.9, **options: Unpack[GradientOptions]
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 <= beta < 1:
            raise ValueError(f"beta: want a number of at least 0 and below 1, got {beta}")
        self.beta = beta
        zeros = torch.zeros(len(self.tasks), dtype=torch.float64)
        self.register_buffer("norm_sum", zeros)
        self.register_buffer("weight_sum", zeros.clone())

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights, after this step's norms have entered the running means."""
        norm_sum = self.beta * read(self.norm_sum, positions) + np.sqrt(np.diagonal(gramian))
        weight_sum = self.beta * read(self.weight_sum, positions) + 1
        if self.training:
            write(self.norm_sum, positions, norm_sum)
            write(self.weight_sum, positions, weight_sum)
        means = norm_sum / weight_sum
        known = means > 0
        if not known.any():
            return np.ones(len(means))
        logs = np.log(read(self.preferences, positions)[known]) - np.log(means[known])
        weights = np.ones(len(means))
        weights[known] = np.exp(logs - logs.mean())
        return weights


class GradScaleConfig(GradientConfig):
    """Configuration of `GradScale`."""

    kind: Literal["gradscale"] = "gradscale"
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9

    def build(self, tasks: Sequence[str]) -> GradScale:
        """Makes the balancer."""
        return GradScale(tasks, beta=self.beta, **self.gradient_options())
