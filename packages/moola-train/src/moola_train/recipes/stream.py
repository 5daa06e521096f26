"""Bars that come piece by piece, of several symbols: which spans are settled, and which are not yet."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from moola_data.features import segment_heads
from moola_data.schema import Bars
from moola_train.recipes.marks_table import marks_table, no_marks
from moola_train.recipes.stretch import Advance, Stretch

if TYPE_CHECKING:
    from moola_train.recipes.detector import Detector

Borders = Literal["gap", "segment"]


class Streamed(NamedTuple):
    """What a call of `append` says; tables with the columns of `marks_table`."""

    settled: pd.DataFrame
    """Spans that no later bar changes, each told once, in the call that settled it."""
    provisional: pd.DataFrame
    """Spans of all symbols' last bars, as `mark` would give them if no bar came any more."""
    settled_until: dict[str, np.datetime64]
    """By symbol the time of the last settled bar: whatever comes, the marks up to it stand. A span that
    reaches beyond it is provisional as a whole. A symbol without a settled bar has no entry."""


class Stream:
    """Marks bars as they are appended.

    At any time the settled spans of all calls with the last provisional ones are those that `mark` gives of
    all bars so far. Bars are settled when a window's length of bars has followed, or their segment has ended.

    Args:
        detector: The run.
        gap: As of `Detector.stream`.
        borders: As there.
    """

    def __init__(self, detector: Detector, *, gap: datetime.timedelta | None, borders: Borders) -> None:
        if gap is not None and gap <= datetime.timedelta(0):
            raise ValueError(f"gap: want a positive time, got {gap}")
        if borders not in ("gap", "segment"):
            raise ValueError(f"borders: want 'gap' or 'segment', got {borders!r}")
        self._detector = detector
        self._gap = None if gap is None else np.timedelta64(gap)
        self._borders = borders
        self._stretches: dict[str, Stretch] = {}
        self._segments: dict[str, int] = {}
        self._provisional: dict[str, pd.DataFrame] = {}
        self._until: dict[str, np.datetime64] = {}

    def append(self, bars: Bars) -> Streamed:
        """Takes the next bars of any symbols.

        Args:
            bars: One or more; those of a symbol are later than all of its bars so far.

        Raises:
            ValueError: A symbol's bars are not later than those that came; nothing has been taken then.
        """
        if not len(bars):
            raise ValueError("bars: want 1 bar or more, got 0")
        heads = segment_heads(bars.segment)
        pieces = list(zip(heads[:-1].tolist(), heads[1:].tolist(), strict=True))
        for first, _ in pieces:
            name = bars.symbols[bars.symbol[first]]
            before = self._stretches.get(name)
            if before is not None and bars.time[first] <= before.last_time:
                got = f"{bars.time[first]} in row {first}"
                raise ValueError(f"bars: want bars of {name!r} after {before.last_time}, got {got}")
        told: list[pd.DataFrame] = []
        for first, after in pieces:
            name = bars.symbols[bars.symbol[first]]
            stretch = self._stretches.get(name)
            if stretch is not None and self._begins(stretch, bars, first, name):
                told.append(self._end(name))
                stretch = None
            if stretch is None:
                stretch = self._stretches[name] = Stretch(self._detector, name)
            self._segments[name] = int(bars.segment[first])
            settled, self._provisional[name] = _tables(stretch.advance(bars, slice(first, after)))
            told.append(settled)
            if stretch.settled_time is not None:
                self._until[name] = stretch.settled_time
        return Streamed(_joined(told), _joined(list(self._provisional.values())), dict(self._until))

    def close(self) -> Streamed:
        """Ends every symbol's stretch: all is settled. Bars appended later begin anew."""
        told = [self._end(name) for name in list(self._stretches)]
        return Streamed(_joined(told), _joined([]), dict(self._until))

    def _begins(self, stretch: Stretch, bars: Bars, first: int, name: str) -> bool:
        """Whether a bar begins a new stretch of its symbol."""
        if first and bars.symbol[first - 1] == bars.symbol[first]:
            return True
        if self._borders == "segment":
            return int(bars.segment[first]) != self._segments[name]
        return self._gap is not None and bool(bars.time[first] - stretch.last_time > self._gap)

    def _end(self, name: str) -> pd.DataFrame:
        stretch = self._stretches.pop(name)
        self._until[name] = stretch.last_time
        return self._provisional.pop(name)


def _tables(advance: Advance) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The settled and the other spans."""
    if advance.marks is None:
        return no_marks(), no_marks()
    table = marks_table(advance.marks, advance.bars)
    return table[advance.settled], table[~advance.settled]


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    some = [table for table in tables if len(table)]
    return pd.concat(some, ignore_index=True) if some else no_marks()
