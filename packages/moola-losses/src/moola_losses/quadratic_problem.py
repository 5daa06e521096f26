"""A small problem whose gradients are known, on which balancers are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import torch
from torch import Tensor, nn

Gradients = dict[str, Tensor]
"""What stands in ``.grad``: under "" of the shared vector, else of a task's own number."""


@dataclass
class QuadraticProblem:
    """Quadratic losses of a shared vector and one number a task; a task's name fixes its loss.

    Args:
        names: Of the tasks; "a'" has the same loss as "a".
        factors: What a task's loss is multiplied by.
        shifts: What is added to it then.
        turned: Names of tasks whose loss falls where it rose, to first order and at the start.
    """

    names: Sequence[str]
    factors: Mapping[str, float] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)
    turned: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.shared = nn.Parameter(torch.zeros(6, dtype=torch.float64))
        self.heads = {n: nn.Parameter(torch.zeros((), dtype=torch.float64)) for n in self.names}
        self.rows = {n: self._rows(n.removesuffix("'")) for n in self.names}
        self.move(0)
        for name in self.turned:
            rows = self.rows[name]
            rows[:, 6] = 2 * (rows[:, :6] @ self.shared + self.heads[name]).detach() - rows[:, 6]

    @staticmethod
    def _rows(name: str) -> Tensor:
        own = torch.Generator().manual_seed(crc32(name.encode()))
        return torch.randn(5, 7, generator=own, dtype=torch.float64)

    def move(self, step: int) -> None:
        """Sets the parameters to where a training would be; the balancer has no say in it."""
        with torch.no_grad():
            self.shared.copy_(torch.linspace(-1, 1, 6, dtype=torch.float64) / (1 + 0.1 * step))
            for head in self.heads.values():
                head.fill_(0.3 / (1 + 0.2 * step))

    def losses(self) -> dict[str, Tensor]:
        """Returns the losses with graph, float64."""
        found = {}
        for name, rows in self.rows.items():
            error = rows[:, :6] @ self.shared + self.heads[name] - rows[:, 6]
            loss = self.factors.get(name, 1.0) * error.square().mean() / 2
            found[name] = loss + self.shifts.get(name, 0.0)
        return found

    def gradients(self) -> Gradients:
        """Returns what stands in ``.grad``, 0 where nothing does, and empties it."""
        named = {"": self.shared, **self.heads}
        found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named.items()}
        for parameter in named.values():
            parameter.grad = None
        return found
