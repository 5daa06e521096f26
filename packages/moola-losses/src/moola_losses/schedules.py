"""How much a loss counts as training goes on: pure functions of the step or the epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Span = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Schedule(BaseModel, ABC):
    """Gives a weight for every point of training. It holds no state, so a resumed run needs none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    def at(self, time: float) -> float:
        """Returns the weight.

        Args:
            time: Steps or epochs done so far, at least 0; the schedule's own numbers are in the same unit.

        Raises:
            ValueError: If the time is negative or no number.
        """
        if not time >= 0:
            raise ValueError(f"time: want a number of at least 0, got {time}")
        return self._at(time)

    @abstractmethod
    def _at(self, time: float) -> float: ...


class Constant(Schedule):
    """The same weight always: the right one to begin with.

    >>> Constant(value=0.1).at(12)
    0.1
    """

    kind: Literal["constant"] = "constant"
    value: Weight = 1.0

    def _at(self, time: float) -> float:
        return self.value


class Linear(Schedule):
    """From `start` to `end` in a straight line, then `end`.

    >>> [Linear(start=1.0, end=0.0, over=4).at(t) for t in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    kind: Literal["linear"] = "linear"
    start: Weight
    end: Weight
    over: Span

    def _at(self, time: float) -> float:
        done = min(time / self.over, 1.0)
        return self.start * (1 - done) + self.end * done


class WarmUp(Schedule):
    """From 0 to `value` in a straight line, then `value`.

    >>> [WarmUp(value=2.0, over=4).at(t) for t in (0, 1, 4, 9)]
    [0.0, 0.5, 2.0, 2.0]
    """

    kind: Literal["warm_up"] = "warm_up"
    value: Weight = 1.0
    over: Span

    def _at(self, time: float) -> float:
        return self.value * min(time / self.over, 1.0)


class OriginCliff(Schedule):
    """base (2 - e/epochs), times `boost` in the first `boosted` epochs: a decay that is mostly a cliff.

    Written to reproduce runs of the origin, where the weight of the flow loss falls fivefold between two
    epochs, so that losses before and after cannot be compared. Use `Linear` for a decay.

    >>> [round(OriginCliff().at(epoch), 4) for epoch in (0, 2, 3, 29)]
    [0.1, 0.0967, 0.019, 0.0103]
    """

    kind: Literal["origin_cliff"] = "origin_cliff"
    base: Weight = 0.01
    epochs: Span = 30
    boost: Weight = 5.0
    boosted: Annotated[float, Field(ge=0)] = 3

    def _at(self, time: float) -> float:
        return self.base * (2 - time / self.epochs) * (self.boost if time < self.boosted else 1.0)


_KINDS: TypeAdapter[Constant | Linear | WarmUp | OriginCliff] = TypeAdapter(
    Annotated[Constant | Linear | WarmUp | OriginCliff, Field(discriminator="kind")]
)


def resolve_schedule(value: object) -> Schedule:
    """Turns a number, a mapping with a ``kind`` or a finished schedule into a schedule.

    >>> resolve_schedule({"kind": "warm_up", "over": 100}).at(50)
    0.5
    >>> resolve_schedule(0.1).at(7)
    0.1

    Raises:
        ValueError: If the kind is unknown or a field does not fit it.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"kind": "constant", "value": value}
    if not isinstance(value, Mapping):
        raise ValueError(f"schedule: want a number or a mapping with a kind, got {value!r}")
    try:
        return _KINDS.validate_python(dict(value))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"schedule: {found}") from None
