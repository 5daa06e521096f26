"""A callback that records how hard each task pulls at the shared parameters, and finds those that do not."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from moola_train.protocols import Callback, Row, StepState


class SharedNorms(Callback):
    """L2 norm of each task's own gradient at the shared parameters, as ``shared_gradient_norm``.

    Measured on the first batch of every `every`-th epoch, of the raw loss, before any balancer; a task costs
    one backward pass there. A task whose norm is 0 twice in a row is dead, which is announced: nothing that
    it does reaches what the tasks share. Under several ranks it is that of the first rank's part.

    Args:
        shared: Shell-style patterns over parameter names; each has to match something.
        every: Epochs between two measurements, 1 or more.

    Raises:
        ValueError: `every` is below 1; while training, a pattern that matches no trained parameter.
    """

    def __init__(self, shared: Sequence[str], *, every: int = 10) -> None:
        if every < 1:
            raise ValueError(f"every: want 1 or more, got {every}")
        if isinstance(shared, str) or not shared:
            raise ValueError(f"shared: want one or more patterns, got {shared!r}")
        self.shared = tuple(shared)
        self.every = every
        self._dead: dict[str, Tensor] = {}

    def watches(self, epoch: int, batch: int) -> bool:
        """The first batch of every `every`-th epoch."""
        return batch == 1 and epoch % self.every == 0

    def on_forward(self, state: StepState) -> Iterable[Row]:
        """Returns a row for each task of the batch."""
        if not self.watches(state.epoch, state.batch):
            return ()
        parameters = self._parameters(state.model)
        rows = []
        for task, loss in state.losses.items():
            slopes = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            norms = [torch.linalg.vector_norm(slope) for slope in slopes if slope is not None]
            norm = torch.linalg.vector_norm(torch.stack(norms)) if norms else loss.new_zeros(())
            self._judge(task, norm)
            rows.append(Row(task, "shared_gradient_norm", norm))
        return rows

    def _parameters(self, model: nn.Module) -> list[nn.Parameter]:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        for pattern in self.shared:
            if not any(fnmatchcase(name, pattern) for name, _ in named):
                names = [name for name, _ in named]
                raise ValueError(f"shared: want a pattern that matches one of {names}, got {pattern!r}")
        return [p for name, p in named if any(fnmatchcase(name, pattern) for pattern in self.shared)]

    def _judge(self, task: str, norm: Tensor) -> None:
        before = self._dead.get(task)
        self._dead[task] = norm
        # Read where measured only: once in many epochs.
        if before is not None and float(before) == 0 and float(norm) == 0:
            warnings.warn(
                f"task {task!r} is dead: its gradient at the shared parameters is 0",
                RuntimeWarning,
                stacklevel=2,
            )
