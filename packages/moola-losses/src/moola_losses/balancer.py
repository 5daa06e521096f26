"""What a balancer is: the module that makes one scalar, and one backward pass, of several task losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

NonFinite = Literal["refuse", "pass"]


class Balancer(nn.Module, ABC):
    """Balances the losses of named tasks.

    A task that is missing from the losses, or None there, is absent: the result is as if the balancer had
    been built without it, and what it has learnt of that task stays. The order of the mapping does not
    matter. Everything a resumed run needs is in `state_dict`, as tensors.

    Args:
        tasks: Names, all different; their order is the order of every vector inside.
        non_finite: "refuse" raises on a loss that is nan or infinite and names its task; "pass" does not
            look, which saves a synchronisation with the GPU and lets the call compile whole.
    """

    def __init__(self, tasks: Sequence[str], *, non_finite: NonFinite = "refuse") -> None:
        super().__init__()
        names = tuple(tasks)
        if isinstance(tasks, str) or not names or len(set(names)) < len(names):
            raise ValueError(f"tasks: want one or more different names, got {tasks!r}")
        self.tasks = names
        self.non_finite = non_finite

    @abstractmethod
    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the scalar whose gradient is the balanced one.

        Args:
            losses: Scalars by task name.

        Raises:
            ValueError: If a task is unknown, none is present, a loss is no scalar or not finite.
        """

    @abstractmethod
    def coefficients(self) -> dict[str, float]:
        """Returns by task what its loss is multiplied by at present, for the records."""

    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[nn.Parameter] | None = None,
        scaler: torch.amp.GradScaler | None = None,
        retain_graph: bool = False,
    ) -> Tensor:
        """Adds the balanced gradient to ``.grad``, as one call for every kind of balancer.

        Args:
            losses: Scalars by task name, with graph.
            shared: Parameters that several tasks use; methods that only weight losses do not need them.
            scaler: Of mixed precision; the gradients are scaled by it.
            retain_graph: Keep the graph for another backward pass.

        Returns:
            The total, detached and not scaled.

        Raises:
            ValueError: As `forward`.
        """
        total: Tensor = self(losses)
        (total if scaler is None else scaler.scale(total)).backward(retain_graph=retain_graph)
        return total.detach()

    def present(self, losses: Mapping[str, Tensor | None]) -> tuple[list[int], Tensor]:
        """Checks the losses and puts them into the balancer's order.

        Returns:
            Positions of the present tasks among `tasks`, and their losses as a vector, 32 bits at least.

        Raises:
            ValueError: As `forward`.
        """
        unknown = sorted(losses.keys() - set(self.tasks))
        if unknown:
            raise ValueError(f"losses: want tasks among {list(self.tasks)}, got {unknown[0]!r}")
        found = [(k, name, losses[name]) for k, name in enumerate(self.tasks) if name in losses]
        values = []
        for _, name, loss in found:
            if loss is not None:
                if loss.ndim:
                    raise ValueError(f"losses: want a scalar for {name!r}, got shape {tuple(loss.shape)}")
                values.append(loss.float() if loss.dtype in (torch.float16, torch.bfloat16) else loss)
        if not values:
            raise ValueError(f"losses: want one task or more among {list(self.tasks)}, got none")
        vector = torch.stack(values)
        positions = [k for k, _, loss in found if loss is not None]
        if self.non_finite == "refuse" and not bool(vector.detach().isfinite().all()):
            bad = {self.tasks[k]: v for k, v in zip(positions, vector.tolist(), strict=True)}
            name, value = next((n, v) for n, v in bad.items() if not -float("inf") < v < float("inf"))
            raise ValueError(f"losses: want finite numbers, got {value} for {name!r}")
        return positions, vector

    def pick(self, vector: Tensor, positions: list[int]) -> Tensor:
        """Takes the present tasks' entries of a vector with one number per task."""
        # An index made of Python numbers travels to the GPU at every step: spared in the usual case.
        return vector if len(positions) == len(self.tasks) else vector[positions]

    def by_task(self, vector: Tensor) -> dict[str, float]:
        """Names the entries of a vector with one number per task."""
        return dict(zip(self.tasks, vector.detach().tolist(), strict=True))

    def vector(self, name: str, values: Mapping[str, float] | None, *, default: float) -> Tensor:
        """Makes a vector of numbers given by task; tasks left out get the default.

        Raises:
            ValueError: If a name is no task or a number is not finite.
        """
        given = {} if values is None else dict(values)
        unknown = sorted(given.keys() - set(self.tasks))
        if unknown:
            raise ValueError(f"{name}: want tasks among {list(self.tasks)}, got {unknown[0]!r}")
        made = torch.tensor([float(given.get(task, default)) for task in self.tasks])
        if not bool(made.isfinite().all()):
            raise ValueError(f"{name}: want finite numbers, got {given}")
        return made


class BalancerConfig(BaseModel, ABC):
    """Says which balancer, with which settings; the tasks are given when it is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    non_finite: NonFinite = "refuse"

    @abstractmethod
    def build(self, tasks: Sequence[str]) -> Balancer:
        """Makes the balancer.

        Raises:
            ValueError: If settings name a task that is not among `tasks`.
        """
