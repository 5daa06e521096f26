"""Walk-forward refits: train on what was known at a time, test on what came next, and again later.

Every period is a run of its own: bars from the beginning (or the last `memory` periods' worth of them) up to
the period's end; its last part in time is the test part, the part before it chooses epoch and threshold.
Windows that share bars or labels with another part are purged as in every run. Test periods do not overlap.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from moola_data.schema import Bars
from moola_train.recipes.run_config import RunConfig


class Period(NamedTuple):
    """One refit. Times are ISO 8601, both ends included."""

    number: int
    """From 1."""
    begin: str
    """First time of the training part."""
    train_end: str
    """Last time before the test period: training and inner part."""
    test_begin: str
    end: str
    """Last time of the test period."""
    fractions: tuple[float, float, float]
    """Shares of the period's times for train, inner and test."""


def walk(bars: Bars, *, periods: int, first: float, inner: float, memory: float | None) -> list[Period]:
    """Plans the refits.

    Args:
        bars: All bars.
        periods: Test periods of equal numbers of distinct times.
        first: Share of all times before the first test period.
        inner: Share of each period's times before its test that chooses epoch and threshold.
        memory: Share of all times that training looks back; None: to the beginning.

    Returns:
        The periods in the order of time; together their tests are all times after the first share.

    Raises:
        ValueError: A number is out of range, or there are too few times.
    """
    for name, value in (("first", first), ("inner", inner), ("memory", memory)):
        if value is not None and not 0 < value < 1:
            raise ValueError(f"{name}: want a share between 0 and 1, got {value}")
    if periods < 1:
        raise ValueError(f"periods: want 1 or more, got {periods}")
    if np.isnat(bars.time).any():
        row = int(np.flatnonzero(np.isnat(bars.time))[0])
        raise ValueError(f"bars: want a time in every row for walk-forward, got none in row {row}")
    times = np.unique(bars.time)
    borders = np.linspace(round(first * len(times)), len(times), periods + 1).round().astype(int)
    if (np.diff(borders) < 1).any() or borders[0] < 2:
        raise ValueError(f"periods: want some of the {len(times)} times in each of {periods}, got too few")
    planned = []
    for number, (begin, end) in enumerate(pairwise(borders.tolist()), start=1):
        start = 0 if memory is None else max(0, begin - round(memory * len(times)))
        known, tested = begin - start, end - begin
        if known < 2:
            raise ValueError(f"memory: want 2 times or more to train on, got {known} in period {number}")
        share = tested / (known + tested)
        chooses = (1 - share) * inner
        planned.append(
            Period(
                number,
                str(times[start]),
                str(times[begin - 1]),
                str(times[begin]),
                str(times[end - 1]),
                (1 - share - chooses, chooses, share),
            )
        )
    return planned


def period_config(config: RunConfig, period: Period) -> RunConfig:
    """The configuration of a refit: the run's with the period's shares of time."""
    data = config.data.model_copy(update={"fractions": period.fractions})
    return config.model_copy(update={"data": data})
