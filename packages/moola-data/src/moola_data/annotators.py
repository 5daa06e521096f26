"""People who label: edges a bar or two off, expansions overlooked.

A person here moves each edge of a span by itself and overlooks a span now and then, whatever the bars look
like. Spans marked where nothing is are left out on purpose: people mark what *looks* like an expansion, so
spurious spans depend on the bars, and a coin toss would only imitate their number. The benchmark's surges
and breakouts already tempt every detector to do the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

import numba
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from moola_data.posterior import stretches_of
from moola_data.schema import Bars, Spans

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Preset = Literal["careful", "typical", "hasty"]


class Annotator(BaseModel):
    """How a person's marks differ from the truth.

    >>> ANNOTATORS["careful"].miss
    0.02
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jitter: tuple[float, ...]
    """Probabilities of moving an edge by -J..J bars, an odd number of them; both edges move independently."""
    miss: Annotated[float, Field(ge=0, le=1)]
    """Probability that a span is overlooked."""

    @model_validator(mode="after")
    def _jitter_is_a_distribution(self) -> Self:
        if len(self.jitter) % 2 == 0 or min(self.jitter) < 0 or abs(sum(self.jitter) - 1) > 1e-9:
            raise ValueError(f"jitter: want an odd number of probabilities that sum to 1, got {self.jitter}")
        return self


ANNOTATORS: Mapping[Preset, Annotator] = MappingProxyType(
    {
        "careful": Annotator(jitter=(0.15, 0.7, 0.15), miss=0.02),
        "typical": Annotator(jitter=(0.1, 0.2, 0.4, 0.2, 0.1), miss=0.05),
        "hasty": Annotator(jitter=(0.15, 0.2, 0.3, 0.2, 0.15), miss=0.10),
    }
)
"""Two people of one kind agree on bars with an F1 of about .93, .84 and .78."""


def annotate(spans: Spans, preset: Preset | Annotator, *, bars: Bars, seed: int) -> Spans:
    """Marks spans as a person would.

    Args:
        spans: The true spans.
        preset: A name from `ANNOTATORS`, or an annotator of your own.
        bars: The bars; a mark stays inside its segment.
        seed: Seed of the person; another seed is another person of the same kind.

    Returns:
        The marks in the order of the spans, without the overlooked and those of which no bar is left.

    Raises:
        ValueError: If there is no preset of that name.
    """
    person = _person(preset)
    draw = np.random.default_rng(seed)
    reach = len(person.jitter) // 2
    moved = draw.choice(np.arange(-reach, reach + 1), size=(len(spans), 2), p=person.jitter)
    noticed = draw.random(len(spans)) >= person.miss
    stretches = stretches_of(bars.segment)
    home = np.searchsorted(stretches, spans.start, side="right")
    start = np.maximum(spans.start + moved[:, 0], stretches[home - 1])
    end = np.minimum(spans.end + moved[:, 1], stretches[home] - 1)
    kept = noticed & (start <= end)
    return spans.model_copy(
        update={
            "start": start[kept],
            "end": end[kept],
            "type": spans.type[kept],
            "weight": spans.weight[kept],
            "annotator": f"{preset if isinstance(preset, str) else 'own'} annotator, seed {seed}",
        }
    )


def marked_spans(spans: Floats, stretches: Integers, *, preset: Preset | Annotator) -> Floats:
    """Turns the posterior of true spans into that of a person's marks.

    Args:
        spans: (N, D) P(a true span starts at bar t and shows d + 1 bars).
        stretches: (g + 1,) first bar of each stretch, then N.
        preset: As for `annotate`.

    Returns:
        (N, D + 2 J) P(a mark starts at bar t and has d + 1 bars), for edges that move by up to J bars.
    """
    person = _person(preset)
    out = np.zeros((len(spans), spans.shape[1] + len(person.jitter) - 1))
    _move(spans, stretches, np.array(person.jitter), 1 - person.miss, out)
    return out


def _person(preset: Preset | Annotator) -> Annotator:
    if isinstance(preset, Annotator):
        return preset
    if preset not in ANNOTATORS:
        raise ValueError(f"preset: want one of {sorted(ANNOTATORS)} or an Annotator, got {preset!r}")
    return ANNOTATORS[preset]


@numba.njit(cache=True)
def _move(spans: Floats, stretches: Integers, jitter: Floats, noticed: float, out: Floats) -> None:
    reach = len(jitter) // 2
    for g in range(len(stretches) - 1):
        first, last = stretches[g], stretches[g + 1] - 1
        for t in range(first, last + 1):
            for d in range(spans.shape[1]):
                chance = noticed * spans[t, d]
                if chance == 0:
                    continue
                for a in range(len(jitter)):
                    start = max(t + a - reach, first)
                    for b in range(len(jitter)):
                        end = min(t + d + b - reach, last)
                        if start <= end:
                            out[start, end - start] += chance * jitter[a] * jitter[b]
