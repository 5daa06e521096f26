"""What the doctor says, as frozen models that go to JSON and back."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Fault = Literal[
    "not_finite",
    "dead",
    "reduction",
    "slope_cap",
    "entropy_floor",
    "divided_by_value",
    "starved",
    "at_constant",
    "conflict",
    "harmed",
]
"""What a task can be convicted of, in the order in which it should be put right."""


class _Frozen(BaseModel):
    # nan means "not measured"; JSON has no nan, so it is written as a word.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Thresholds(_Frozen):
    """Beyond which numbers the doctor convicts.

    Attributes:
        ratio: Of gradient norms at the shared place, each times its coefficient.
        slope_cap: Below this greatest slope a bounded loss is called capped.
        mass: Sum of absolute slopes by the outputs beyond which a loss of unknown kind is called a sum; one
            of known kind is judged by twice its slope cap.
        floor_share: Share of the loss that is floor.
        saturated: Share of outputs in the linear part of a bounded loss.
        at_constant: Share of the best constant's loss.
        settled: Steps before a task can be said to stay at its constant.
        cosine: Below this mean cosine two tasks may conflict, and an update harms a task.
        pull: They do if equally long gradients of all tasks, added up, leave less than this share of what one
            of the two would pull alone; mildly negative cosines are harmless.
        errors: By so many standard errors a mean must lie beyond, so that noise convicts nobody.
        observations: Fewest for any statement about cosines.
        dead: Share of the greatest gradient norm below which a gradient is none.
        solved: Share of the best constant's loss above the floor below which a task is solved, and its small
            gradient no fault.
    """

    ratio: float = 10.0
    slope_cap: float = 0.5
    mass: float = 10.0
    floor_share: float = 0.5
    saturated: float = 0.5
    at_constant: float = 0.95
    settled: int = 100
    cosine: float = -0.1
    pull: float = 0.5
    errors: float = 3.0
    observations: int = 5
    dead: float = 1e-8
    solved: float = 0.02


class Verdict(_Frozen):
    """One fault.

    Attributes:
        fault: Which.
        task: Who suffers from it or has it.
        other: The second task of a conflict.
        measured: The number.
        threshold: The number beyond which it is a fault.
        words: A sentence with both.
    """

    fault: Fault
    task: str
    other: str | None = None
    measured: float
    threshold: float
    words: str


class TaskReport(_Frozen):
    """One task's numbers: means over the observations, nan where not measured.

    Attributes:
        loss: Mean value.
        loss_share: Of the sum of all, each times its coefficient. It says little: see `gradient_share`.
        floor: Least value it can reach.
        reducible_share: (loss - floor) / loss.
        constant: What the best constant output reaches.
        against_constant: Loss of the last observations over that.
        coefficient: What the total multiplies the loss by, geometric mean of the size.
        gradient_norm: At the shared place, before the coefficient, geometric mean.
        gradient_share: Of the sum of all norms, each times its coefficient.
        head_norm: Norm of the gradient by the head's own parameters.
        idle_head: Share of the head's parameter tensors that never got a gradient.
        slope_cap: Greatest slope by one output, known from the loss or seen in its saturated outputs.
        slope_mass: Sum of absolute slopes by the outputs.
        saturated: Share of the outputs in the linear part of a bounded loss.
        signal_to_noise: Squared length of the mean gradient over its variance, from successive observations.
        update_cosine: Cosine between the update that followed and the direction that lowers this loss; below
            0 the update raises it.
        change: First-order change of the loss by that update.
    """

    loss: float
    loss_share: float
    floor: float
    reducible_share: float
    constant: float
    against_constant: float
    coefficient: float
    gradient_norm: float
    gradient_share: float
    head_norm: float
    idle_head: float
    slope_cap: float
    slope_mass: float
    saturated: float
    signal_to_noise: float
    update_cosine: float
    change: float


class PairReport(_Frozen):
    """Two tasks.

    Attributes:
        first: One task.
        second: The other.
        norm_ratio: Gradient norm of the first over that of the second, each times its coefficient.
        cosine: Mean cosine of their gradients.
        cosine_error: Its standard error over the observations.
        opposed: Share of the observations with a negative cosine.
    """

    first: str
    second: str
    norm_ratio: float
    cosine: float
    cosine_error: float
    opposed: float


class Prescription(_Frozen):
    """What to do, in this order.

    Attributes:
        fixes: First, in the losses themselves.
        weights: Then static weights by task, geometric mean 1; empty if the present ones do.
        balancer: Only then a balancer, by kind; None if none is called for.
        words: Why.
    """

    fixes: tuple[str, ...]
    weights: dict[str, float]
    balancer: str | None
    words: str


class DoctorReport(_Frozen):
    """Everything the doctor found.

    Attributes:
        place: Where gradients were compared: the shared parameters, or the representation.
        observations: How many.
        first_step: Step of the first of them.
        last_step: Step of the last.
        tasks: Numbers by task.
        pairs: Numbers by pair of tasks.
        norm_ratio: Greatest over least gradient norm of the tasks, each times its coefficient.
        drift: By how much the ratio of two tasks' norms changed between the halves of the window.
        condition: Greatest over least eigenvalue of the weighted gradients' Gramian, geometric mean.
        thresholds: Beyond which it convicts.
        verdicts: Faults, the first to be put right first; empty if all is well.
        prescription: What to do.
    """

    format: Literal["moola doctor 1"] = "moola doctor 1"
    place: Literal["parameters", "representation"]
    observations: int
    first_step: int
    last_step: int
    tasks: dict[str, TaskReport]
    pairs: tuple[PairReport, ...]
    norm_ratio: float
    drift: float
    condition: float
    thresholds: Thresholds = Field(default_factory=Thresholds)
    verdicts: tuple[Verdict, ...]
    prescription: Prescription

    def of(self, task: str) -> tuple[Verdict, ...]:
        """Returns the verdicts on a task."""
        return tuple(v for v in self.verdicts if task in (v.task, v.other))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the report as JSON, whole or not at all."""
        target = Path(path)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a report that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no report of the doctor.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except ValueError as error:
            first = str(error).splitlines()
            raise ValueError(f"{path}: want a report of the doctor, got {' '.join(first[1:3])}") from None

    def __str__(self) -> str:
        """Returns the report as a text table."""
        from moola_losses.doctor_table import doctor_table

        return doctor_table(self)
