"""What an epoch adds up, to be read once at its end. k tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from moola_train.protocols import Row


class EpochSums:
    """Running sums over the steps of an epoch: per task, and of the whole.

    The loss of an epoch is the sum over all its examples divided by their weight, not a mean of batch means,
    so that a short last batch counts for what it is. Sums are kept in 64 bits: on the device, where nobody
    reads a step's numbers, or as Python's own numbers, where each step is looked at anyway.

    Args:
        tasks: Names.
        device: Where the steps' numbers are.
        on_device: Whether they stay there.
    """

    def __init__(self, tasks: Sequence[str], *, device: torch.device, on_device: bool) -> None:
        self.tasks = tuple(tasks)
        self._size = 4 * len(tasks) + 3
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._values = torch.zeros(self._size, dtype=kind, device=device) if on_device else None
        self._one = torch.ones(1, device=device)
        self._numbers = [0.0] * self._size

    def add(self, row: Tensor) -> None:
        """Adds one step's numbers on the device, and waits for nothing.

        Args:
            row: (4k+2,): the tasks' sums, weights, coefficients and losses, the total, the gradient norm.
        """
        assert self._values is not None
        k = len(self.tasks)
        weighted = row[2 * k : 3 * k] * row[3 * k : 4 * k]
        self._values += torch.cat([row[: 3 * k], weighted, row[4 * k :], self._one])

    def add_numbers(self, row: Sequence[float]) -> None:
        """Adds one step's numbers that have been read already."""
        k = len(self.tasks)
        weighted = [c * x for c, x in zip(row[2 * k : 3 * k], row[3 * k : 4 * k], strict=True)]
        step = [*row[: 3 * k], *weighted, *row[4 * k :], 1.0]
        self._numbers = [a + b for a, b in zip(self._numbers, step, strict=True)]

    def rows(self) -> list[Row]:
        """Returns the rows of an epoch, read from the device in one go; NaN where there is no value."""
        k = len(self.tasks)
        values = self.state().tolist()
        sums, weights, coefficients, weighted = (values[i * k : (i + 1) * k] for i in range(4))
        steps = values[-1] or math.nan
        rows = []
        for task, s, w, c, cl in zip(self.tasks, sums, weights, coefficients, weighted, strict=True):
            rows.append(Row(task, "loss", s / w if w > 0 else math.nan))
            rows.append(Row(task, "coefficient", c / steps))
            rows.append(Row(task, "weighted", cl / steps))
        rows.append(Row("", "total", values[-3] / steps))
        rows.append(Row("", "gradient_norm", values[-2] / steps))
        return rows

    def state(self) -> Tensor:
        """Returns a copy of the sums, on the CPU."""
        if self._values is None:
            return torch.tensor(self._numbers, dtype=torch.float64)
        return self._values.to("cpu", copy=True)

    def load(self, state: Tensor) -> None:
        """Takes over saved sums."""
        if self._values is None:
            self._numbers = state.tolist()
        else:
            self._values.copy_(state)

    def reset(self) -> None:
        """Starts the next epoch."""
        self._numbers = [0.0] * self._size
        if self._values is not None:
            self._values.zero_()
