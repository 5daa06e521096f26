"""A task: the name that ties a target, a model output and a loss together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


class TaskLoss(Protocol):
    """A loss that leaves the division to the loop, which can then add up micro-batches exactly."""

    def __call__(
        self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Returns (weighted sum, weight), both scalars; the loss of a batch is their quotient.

        Args:
            output: What the model returned under the task's head name, (B, ...).
            target: The task's target, (B, ...).
            mask: bool, (B,) or the target's shape: True where the target is known.
            weight: float, (B,): how much each example counts.
        """
        ...


@dataclass(frozen=True)
class Task:
    """One thing to learn. The loop knows tasks and nothing else of a model or a data set.

    Args:
        name: Name in records and in the balancer's dictionary of losses.
        loss: See `TaskLoss`; `moola_train.elementwise.Elementwise` makes one of a function of torch's.
        head: Name of the model's output; the task's name where omitted.
        target: Name of the target in the batch; the task's name where omitted.
        classes: Number of classes of an integer target; labels outside 0..classes-1 are then refused
            before training starts. None for targets that are no labels.

    >>> def squared(output, target, mask, weight):
    ...     each = mask * weight
    ...     return (each * (output - target) ** 2).sum(), each.sum()
    >>> Task("height", squared).head
    'height'
    """

    name: str
    loss: TaskLoss
    head: str = ""
    target: str = ""
    classes: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name: want a non-empty task name, got ''")
        if isinstance(self.loss, nn.modules.loss._Loss):  # it would fail in the middle of the first step
            raise TypeError(
                f"loss: want a TaskLoss such as Elementwise(torch.nn.functional.mse_loss) for task "
                f"{self.name!r}, got {type(self.loss).__name__}, which divides by itself"
            )
        if self.classes is not None and self.classes < 1:
            raise ValueError(f"classes: want 1 or more for task {self.name!r}, got {self.classes}")
        object.__setattr__(self, "head", self.head or self.name)
        object.__setattr__(self, "target", self.target or self.name)
