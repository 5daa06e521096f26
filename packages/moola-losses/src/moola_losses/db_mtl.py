"""Dual balancing of losses and gradients (Lin et al., "Dual-balancing for multi-task learning", 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Unpack

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer, GradientConfig, GradientOptions, read, write
from moola_losses.gramian import Matrix

Memory = Literal["gradients", "norms"]


class DBMTL(GradientBalancer):
    """Takes logarithms of the losses and brings all gradients to the largest one's norm.

    The gradients are of log(L_k - b_k) with floor b, so a loss's unit plays no part. Each is replaced by its
    running mean g̃_k ← β_t g̃_k + (1 - β_t) g_k, β_t = beta / t^decay from g̃ = 0, and the direction is
    Σ p_k (max ‖g̃‖ / ‖g̃_k‖) g̃_k.

    Args:
        tasks: Names.
        memory: What has a running mean: the "gradients", one copy of the shared parameters a task; or only
            their "norms", which applies the weights to the gradients of the step. The former needs
            ``shared=``, because rows of a representation mean another window at each step.
        beta: In 0 to 1 (exclusive).
        decay: At least 0.
        options: As `GradientBalancer`. Losses must be above their floors.
    """

    claims = Claims(scalar=False, shared=True, common_scale="invariant", each_scale=True, positive=True)

    counts: Tensor
    norms: Tensor
    memory_rows: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        memory: Memory = "norms",
        beta: float = 0.9,
        decay: float = 0.5,
        **options: Unpack[GradientOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if memory not in ("gradients", "norms"):
            raise ValueError(f"memory: want 'gradients' or 'norms', got {memory!r}")
        if not 0 <= beta < 1:
            raise ValueError(f"beta: want a number of at least 0 and below 1, got {beta}")
        if not 0 <= decay < float("inf"):
            raise ValueError(f"decay: want a finite number of at least 0, got {decay}")
        self.memory = memory
        self.beta = beta
        self.decay = decay
        self.register_buffer("counts", torch.zeros(len(self.tasks), dtype=torch.float64))
        self.register_buffer("norms", torch.zeros(len(self.tasks), dtype=torch.float64))
        # As many columns as there are shared numbers; known at the first step only.
        self.register_buffer("memory_rows", torch.zeros(len(self.tasks), 0))

    def score(self, loss: Tensor, value: Tensor) -> Tensor:
        """Returns what has the gradient of the logarithm of the loss above its floor."""
        # The logarithm of a mean over processes is not the mean of their logarithms.
        return loss / value.to(loss.dtype)

    def remember(self, stacks: list[Tensor], positions: list[int], factor: float) -> list[Tensor]:
        """Returns the running means of the gradients, if those are what has a memory."""
        if self.memory == "norms" or not all(bool(stack.isfinite().all()) for stack in stacks):
            return stacks
        sizes = [stack.shape[1] for stack in stacks]
        if self.memory_rows.shape[1] == 0:
            self.memory_rows = stacks[0].new_zeros(len(self.tasks), sum(sizes))
        if self.memory_rows.shape[1] != sum(sizes):
            raise ValueError(
                f"shared: want {self.memory_rows.shape[1]} numbers as before, got {sum(sizes)}; at a "
                "representation use memory='norms'"
            )
        keep = torch.from_numpy(self._keep(positions)).to(stacks[0])[:, None]
        rows = keep * self.memory_rows[positions] + (1 - keep) * (torch.cat(stacks, 1) / factor)
        if self.training:
            self.memory_rows[positions] = rows
            self.counts[positions] += 1
        if len(positions) == 1:
            return stacks  # one task is left as it is
        return list((rows * factor).split(sizes, dim=1))

    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns what brings each running mean to the largest norm, times the preferences."""
        norms = np.sqrt(np.diagonal(gramian))
        if self.memory == "norms":
            keep = self._keep(positions)
            norms = keep * read(self.norms, positions) + (1 - keep) * norms
            if self.training:
                write(self.norms, positions, norms)
                self.counts[positions] += 1
        weights = np.where(norms > 0, norms.max() / np.where(norms > 0, norms, 1.0), 1.0)
        return weights * read(self.preferences, positions)

    def _keep(self, positions: list[int]) -> Matrix:
        """Returns β_t of these tasks' next step."""
        step: Matrix = read(self.counts, positions) + 1
        return self.beta / step**self.decay

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # The memory gets its size from the first step, or from the state it continues.
        saved = state_dict.get(f"{prefix}memory_rows")
        if isinstance(saved, Tensor) and saved.ndim == 2 and len(saved) == len(self.tasks):
            self.memory_rows = self.memory_rows.new_zeros(saved.shape, dtype=saved.dtype)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class DBMTLConfig(GradientConfig):
    """Configuration of `DBMTL`."""

    kind: Literal["db_mtl"] = "db_mtl"
    memory: Memory = "norms"
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5

    def build(self, tasks: Sequence[str]) -> DBMTL:
        """Makes the balancer."""
        return DBMTL(tasks, memory=self.memory, beta=self.beta, decay=self.decay, **self.gradient_options())
