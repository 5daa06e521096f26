"""What a balancer remembers of each task's losses: a first or a running mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Prenorm = Literal["first", "ema"]


class LossMean(nn.Module):
    """A mean of each task's losses, which a task's absence leaves alone.

    Of n losses seen of a task, the first m = `first` count alike and later ones are left out (momentum None),
    or all count by age: (1-b) sum_i b^(n-i) L_i / (1 - b^n), which is free of the bias of starting at 0.

    Args:
        tasks: How many tasks.
        momentum: b, from 0 to below 1; None for the mean of the first ones.
        first: How many losses a task's first mean takes; only without momentum.
    """

    total: Tensor
    mass: Tensor
    seen: Tensor

    def __init__(self, tasks: int, *, momentum: float | None, first: int = 1) -> None:
        super().__init__()
        if momentum is not None and not 0 <= momentum < 1:
            raise ValueError(f"momentum: want a number from 0 to below 1, got {momentum}")
        if first < 1:
            raise ValueError(f"first: want 1 or more, got {first}")
        self.momentum = momentum
        self.first = first
        # 64 bits: with momentum .999 the rounding of 32 shows, and losses may span many powers of ten.
        self.register_buffer("total", torch.zeros(tasks, dtype=torch.float64))
        self.register_buffer("mass", torch.zeros(tasks, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(tasks, dtype=torch.int64))

    def after(self, positions: Sequence[int], values: Tensor) -> Tensor:
        """Returns the present tasks' means; in training mode the values join them first.

        Args:
            positions: Of the present tasks.
            values: Their losses, without graph.

        Returns:
            float64, nan for a task never seen (only in evaluation mode).
        """
        at = list(positions)
        whole = len(at) == len(self.total)
        total, mass, seen = (b if whole else b[at] for b in (self.total, self.mass, self.seen))
        if self.training:
            if self.momentum is None:
                taken = seen < self.first
                total = torch.where(taken, total + values, total)
                mass = torch.where(taken, mass + 1, mass)
            else:
                total = self.momentum * total + (1 - self.momentum) * values
                mass = self.momentum * mass + (1 - self.momentum)
            for buffer, new in ((self.total, total), (self.mass, mass), (self.seen, seen + 1)):
                if whole:
                    buffer.copy_(new)
                else:
                    buffer[at] = new
        return total / mass


def prenormaliser(tasks: int, prenorm: Prenorm | None, *, momentum: float) -> LossMean | None:
    """Makes what methods that compare losses of different units divide them by.

    Raises:
        ValueError: If `prenorm` is another word or the momentum is out of range.
    """
    if prenorm is None:
        return None
    if prenorm not in ("first", "ema"):
        raise ValueError(f"prenorm: want 'first', 'ema' or None, got {prenorm!r}")
    return LossMean(tasks, momentum=momentum if prenorm == "ema" else None)
