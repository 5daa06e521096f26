"""How the learning rate changes: a factor for every step, so that no step runs at a rate nobody asked for."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Factor = Annotated[float, Field(ge=0, le=1)]


class _Schedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate rises in equal parts to its full value; the first is not at full rate."""

    def warmup(self, step: int) -> float:
        """Returns the warm-up's factor of a step, counted from 1."""
        return min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0

    def factor(self, step: int, steps: int) -> float:
        """Returns the factor of a step, counted from 1, of `steps` in all."""
        return self.warmup(step)

    @property
    def needs_length(self) -> bool:
        """Whether the factor depends on how long the run is."""
        return False


class Constant(_Schedule):
    """The full rate, after the warm-up.

    >>> [Constant(warmup_steps=4).factor(step, 10) for step in (1, 2, 4, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """

    kind: Literal["constant"] = "constant"


class Cosine(_Schedule):
    """Half a cosine from the full rate, reached at the end of the warm-up, to `floor` at the last step.

    >>> round(Cosine(floor=0.1).factor(100, 100), 6)
    0.1
    """

    kind: Literal["cosine"] = "cosine"
    floor: Factor = 0.0

    def factor(self, step: int, steps: int) -> float:
        """Returns the factor of a step, counted from 1, of `steps` in all."""
        if step <= self.warmup_steps:
            return self.warmup(step)
        share = (step - self.warmup_steps) / max(steps - self.warmup_steps, 1)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(share, 1.0))) / 2

    @property
    def needs_length(self) -> bool:
        """True."""
        return True


class OneCycle(_Schedule):
    """Half a cosine up over the first `rise` of the run, then half a cosine down (Smith and Topin 2018)."""

    kind: Literal["one_cycle"] = "one_cycle"
    warmup_steps: Literal[0] = 0
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    start: Factor = 0.04
    """Factor before the first step."""
    end: Factor = 4e-6
    """Factor of the last step."""

    def factor(self, step: int, steps: int) -> float:
        """Returns the factor of a step, counted from 1, of `steps` in all."""
        share = min(step / max(steps, 1), 1.0)
        if share <= self.rise:
            low, place = self.start, share / self.rise
        else:
            low, place = self.end, (1 - share) / (1 - self.rise)
        return low + (1 - low) * (1 - math.cos(math.pi * place)) / 2

    @property
    def needs_length(self) -> bool:
        """True."""
        return True


class Plateau(_Schedule):
    """Multiplies the rate by `cut` after every `patience` epochs without a better selection value."""

    kind: Literal["plateau"] = "plateau"
    cut: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: Annotated[int, Field(ge=1)] = 10
    floor: Factor = 0.0
    """Factor below which nothing is cut."""

    def after(self, cuts: int) -> float:
        """Returns the factor after a number of cuts."""
        return max(self.cut**cuts, self.floor)


Schedule = Annotated[Constant | Cosine | OneCycle | Plateau, Field(discriminator="kind")]
