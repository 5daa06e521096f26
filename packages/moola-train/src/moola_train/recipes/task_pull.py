"""A callback that measures how hard each task pulls at the network: the norm of its own gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from moola_train.protocols import Callback, Row, StepState


class TaskPull(Callback):
    """Norms of each task's unweighted gradient at the shared and at the other parameters, frozen ones aside.

    Rows ``pull_shared`` and ``pull_heads`` a task, and ``weighted_pull_shared``: the first times the
    balancer's coefficient, which is what the shared part feels.

    Args:
        epochs: After which epochs' beginning to measure, counted from 1.
        heads: What the names of the parameters start with that are not shared.
    """

    def __init__(self, *, epochs: Sequence[int], heads: tuple[str, ...] = ("projection", "readouts")) -> None:
        self.epochs = frozenset(epochs)
        self.heads = heads

    def watches(self, epoch: int, batch: int) -> bool:
        """The first batch of the chosen epochs."""
        return batch == 1 and epoch in self.epochs

    def on_forward(self, state: StepState) -> Iterable[Row]:
        """Takes each task's gradient; ``.grad`` and the graph stay as they are."""
        named = list(state.model.named_parameters())
        if len({name.startswith(self.heads) for name, _ in named}) < 2:
            raise ValueError(f"heads: want shared parameters and others, got only one kind by {self.heads}")
        training = [(name, p) for name, p in named if p.requires_grad]
        shared = [p for name, p in training if not name.startswith(self.heads)]
        heads = [p for name, p in training if name.startswith(self.heads)]
        weights = coefficients(state.balancer)
        rows = []
        for task, loss in state.losses.items():
            found = torch.autograd.grad(loss, [*shared, *heads], retain_graph=True, allow_unused=True)
            at_shared, at_heads = norm(found[: len(shared)]), norm(found[len(shared) :])
            rows += [Row(task, "pull_shared", at_shared), Row(task, "pull_heads", at_heads)]
            if task in weights:
                rows.append(Row(task, "weighted_pull_shared", at_shared * weights[task]))
        return rows


def norm(gradients: Sequence[Tensor | None]) -> Tensor:
    """Euclidean norm of all of them together; a missing one is 0."""
    squares = [gradient.square().sum() for gradient in gradients if gradient is not None]
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros(())


def coefficients(balancer: nn.Module) -> dict[str, float]:
    """What the balancer multiplies each loss by, if it says so."""
    found = getattr(balancer, "coefficients", None)
    return dict(found()) if callable(found) else {}
