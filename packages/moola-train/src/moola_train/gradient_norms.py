"""A callback that records how large each parameter's gradient is."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from moola_train.protocols import Callback, Row, StepState


class GradientNorms(Callback):
    """L2 norm of the weighted total's gradient, per parameter and over all, before clipping.

    Measured on the first batch of every `every`-th epoch. Rows are named ``gradient_norm/<parameter>``, and
    ``gradient_norm/total`` for all of the model's together. A parameter without a gradient has no row.

    Args:
        every: Epochs between two measurements, 1 or more.
    """

    def __init__(self, *, every: int = 10) -> None:
        if every < 1:
            raise ValueError(f"every: want 1 or more, got {every}")
        self.every = every

    def watches(self, epoch: int, batch: int) -> bool:
        """The first batch of every `every`-th epoch."""
        return batch == 1 and epoch % self.every == 0

    def on_backward(self, state: StepState) -> Iterable[Row]:
        """Returns the rows of a measured batch, none for the others."""
        if not self.watches(state.epoch, state.batch):
            return ()
        norms = {
            name: torch.linalg.vector_norm(parameter.grad)
            for name, parameter in state.model.named_parameters()
            if parameter.grad is not None
        }
        if not norms:
            return ()
        total = torch.linalg.vector_norm(torch.stack(list(norms.values())))
        rows = [Row("", f"gradient_norm/{name}", norm) for name, norm in norms.items()]
        return [Row("", "gradient_norm/total", total), *rows]
