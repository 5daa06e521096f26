"""What a balancer is: the module that makes one scalar, and one backward pass, of several task losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypedDict

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from moola_losses.claims import Claims

NonFinite = Literal["refuse", "pass"]
Numbers = dict[str, Annotated[float, Field(allow_inf_nan=False)]]
"""A finite number by task, in configurations."""
PositiveNumbers = dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
"""A finite number above 0 by task, in configurations."""


class Options(TypedDict, total=False):
    """What every balancer takes by keyword; see `Balancer`."""

    floors: Mapping[str, float] | None
    preferences: Mapping[str, float] | None
    non_finite: NonFinite


class Balancer(nn.Module, ABC):
    """Balances the losses of named tasks.

    A task that is missing from the losses, or None there, is absent: the result is as if the balancer had
    been built without it, and what it has learnt of that task stays. The order of the mapping does not
    matter. Everything a resumed run needs is in `state_dict`, as tensors.

    Args:
        tasks: Names, all different; their order is the order of every vector inside.
        floors: By task the value that no model can get below (the entropy of soft targets); it is taken off
            the loss before anything looks at it. Tasks left out have 0.
        preferences: By task how much more it shall count than the method alone would make it, above 0; tasks
            left out have 1.
        non_finite: "refuse" raises on a loss that is nan or infinite and names its task; "pass" does not
            look, which saves a synchronisation with the GPU and lets the call compile whole.
    """

    claims: ClassVar[Claims] = Claims()
    """What the class promises."""

    wants_after_step: bool = False
    """Whether the loop must call `after_step`, which takes the losses once more."""

    floors: Tensor
    preferences: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        floors: Mapping[str, float] | None = None,
        preferences: Mapping[str, float] | None = None,
        non_finite: NonFinite = "refuse",
    ) -> None:
        super().__init__()
        names = tuple(tasks)
        if isinstance(tasks, str) or not names or len(set(names)) < len(names):
            raise ValueError(f"tasks: want one or more different names, got {tasks!r}")
        self.tasks = names
        self.non_finite = non_finite
        # Settings, not state: a resumed run is built from its configuration.
        self.register_buffer("floors", self.vector("floors", floors, default=0.0), persistent=False)
        chosen = self.vector("preferences", preferences, default=1.0)
        self.register_buffer("preferences", chosen, persistent=False)
        if not bool((self.preferences > 0).all()):
            raise ValueError(f"preferences: want numbers above 0, got {preferences}")

    @abstractmethod
    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the scalar whose gradient is the balanced one; in training mode, learns from the losses.

        Args:
            losses: Scalars by task name.

        Raises:
            ValueError: If a task is unknown, none is present, a loss is no scalar or not finite.
            NotImplementedError: If the method works on gradients and has no scalar; call `backward`.
        """

    @abstractmethod
    def coefficients(self) -> dict[str, float]:
        """Returns by task what its loss was multiplied by last, for the records; nan where never."""

    def after_step(self, losses: Mapping[str, Tensor | None]) -> None:
        """Takes the same batch's losses after the optimiser's step; only methods that say so need it.

        Args:
            losses: Scalars by task name, as `forward`; no graph is needed.
        """

    def epoch_end(self) -> None:
        """Tells that an epoch is over; only methods that say so need it."""

    def wants_positive(self) -> bool:
        """Says whether losses must be above their floors, with the balancer's settings."""
        return self.claims.positive

    def param_groups(self) -> list[dict[str, object]]:
        """Returns what is to be learnt as groups for the optimiser: own learning rate, no weight decay."""
        found = list(self.parameters())
        return [{"params": found, "weight_decay": 0.0}] if found else []

    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[nn.Parameter] | None = None,
        representation: Tensor | None = None,
        scaler: torch.amp.GradScaler | None = None,
        retain_graph: bool = False,
    ) -> Tensor:
        """Adds the balanced gradient to ``.grad``, as one call for every kind of balancer.

        Args:
            losses: Scalars by task name, with graph.
            shared: Parameters that several tasks use; methods that only weight losses do not need them.
            representation: What all tasks' heads read; methods that only weight losses do not need it.
            scaler: Of mixed precision; the gradients are scaled by it.
            retain_graph: Keep the graph for another backward pass.

        Returns:
            The total, detached and not scaled.

        Raises:
            ValueError: As `forward`.
            TypeError: If the representation is no tensor: one that is split has no graph to the encoder.
        """
        if not isinstance(representation, Tensor | None):
            raise TypeError(f"representation: want a tensor or None, got {type(representation).__name__}")
        total: Tensor = self(losses)
        (total if scaler is None else scaler.scale(total)).backward(retain_graph=retain_graph)
        return total.detach()

    def present(self, losses: Mapping[str, Tensor | None]) -> tuple[list[int], Tensor]:
        """Checks the losses, puts them into the balancer's order and takes their floors off.

        Returns:
            Positions of the present tasks among `tasks`, and what their losses have above the floors as a
            vector with graph, 32 bits at least.

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
        return positions, vector - self.pick(self.floors, positions)

    def pick(self, vector: Tensor, positions: list[int]) -> Tensor:
        """Takes the present tasks' entries of a vector with one number per task."""
        # An index made of Python numbers travels to the GPU at every step: spared in the usual case.
        return vector if len(positions) == len(self.tasks) else vector[positions]

    def put(self, vector: Tensor, positions: list[int], values: Tensor) -> None:
        """Writes the present tasks' entries into a buffer with one number per task, in place."""
        if len(positions) == len(self.tasks):
            vector.copy_(values.detach())
        else:
            vector[positions] = values.detach().to(vector.dtype)

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
    floors: Numbers = Field(default_factory=dict)
    preferences: PositiveNumbers = Field(default_factory=dict)
    non_finite: NonFinite = "refuse"

    def options(self) -> Options:
        """Returns what every balancer takes, as keywords."""
        return {"floors": self.floors, "preferences": self.preferences, "non_finite": self.non_finite}

    @abstractmethod
    def build(self, tasks: Sequence[str]) -> Balancer:
        """Makes the balancer.

        Raises:
            ValueError: If settings name a task that is not among `tasks`.
        """
