"""What an epoch adds up on the device, to be read once at its end. k tasks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from moola_train.protocols import Row


class EpochSums:
    """Running sums over the steps of an epoch: per task, and of the whole.

    The loss of an epoch is the sum over all its examples divided by their weight, not a mean of batch means,
    so that a short last batch counts for what it is.
    """

    def __init__(self, tasks: Sequence[str], *, device: torch.device) -> None:
        self.tasks = tuple(tasks)
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._one = torch.ones(1, device=device)
        self.values = torch.zeros(4 * len(tasks) + 3, dtype=kind, device=device)

    def row(
        self,
        sums: Tensor,
        weights: Tensor,
        losses: Tensor,
        coefficients: Tensor,
        total: Tensor,
        norm: Tensor,
    ) -> Tensor:
        """Returns a step in one vector: four of (k,), two scalars and a 1 that counts it."""
        weighted = coefficients * losses
        return torch.cat([sums, weights, coefficients, weighted, torch.stack([total, norm]), self._one])

    def add(self, row: Tensor) -> None:
        """Adds one step."""
        self.values += row

    def rows(self) -> list[Row]:
        """Returns the rows of an epoch, read from the device in one go; NaN where there is no value."""
        k = len(self.tasks)
        values = self.values.tolist()
        sums, weights, coefficients, weighted = (values[i * k : (i + 1) * k] for i in range(4))
        steps = values[-1] or float("nan")
        rows = []
        for task, s, w, c, cl in zip(self.tasks, sums, weights, coefficients, weighted, strict=True):
            rows.append(Row(task, "loss", s / w if w > 0 else float("nan")))
            rows.append(Row(task, "coefficient", c / steps))
            rows.append(Row(task, "weighted", cl / steps))
        rows.append(Row("", "total", values[-3] / steps))
        rows.append(Row("", "gradient_norm", values[-2] / steps))
        return rows

    def reset(self) -> None:
        """Starts the next epoch."""
        self.values.zero_()
