"""Watches every step for numbers that are not finite, without making the device wait.

k tasks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Numbers(NamedTuple):
    """What a step is judged by."""

    losses: Tensor
    """(k,), NaN where a task's loss is."""
    coefficients: Tensor
    """(k,)."""
    norm: Tensor
    """Scalar: L2 norm of all gradients together, before clipping."""

    def flat(self) -> Tensor:
        """Returns all in one vector, (2k+1,)."""
        return torch.cat([self.losses, self.coefficients, self.norm.reshape(1)])

    @classmethod
    def of(cls, flat: Tensor) -> Numbers:
        """Takes a vector apart that `flat` made."""
        k = len(flat) // 2
        return cls(flat[:k], flat[k : 2 * k], flat[-1])


class FiniteGuard:
    """Masks steps on the device and remembers the first bad one until somebody asks.

    Reading a number back from a GPU stalls it, so nothing is read inside an epoch. From the first step that
    is not finite on, the mask stays 1: the optimiser, which takes it as ``found_inf``, leaves parameters and
    moments as they were before that step, and at the end of the epoch the step can be named and replayed.

    Args:
        tasks: k.
        device: Where the numbers are.
    """

    def __init__(self, tasks: int, *, device: torch.device) -> None:
        self.mask = torch.zeros((), device=device)
        """0 while all is well, else 1; float32, as the optimiser wants it."""
        self._batches = torch.zeros((), dtype=torch.int64, device=device)
        self._first_batch = torch.zeros((), dtype=torch.int64, device=device)
        self._first = torch.zeros(2 * tasks + 1, device=device)

    def watch(self, numbers: Numbers) -> None:
        """Takes a step's numbers, after its backward pass and before the optimiser's step."""
        flat = numbers.flat().to(self._first.dtype)
        bad = ~flat.isfinite().all()
        self._batches += 1
        now = bad & (self.mask == 0)
        self._first_batch.copy_(torch.where(now, self._batches, self._first_batch))
        self._first.copy_(torch.where(now, flat, self._first))
        self.mask.copy_(torch.maximum(self.mask, bad.to(self.mask.dtype)))

    def read(self) -> tuple[int, Numbers] | None:
        """Waits for the device; returns the first bad batch since the last read, counted from 1, or None.

        The count starts anew after each call.
        """
        if not bool(self.mask):
            self._batches.zero_()
            return None
        return int(self._first_batch), Numbers.of(self._first)
