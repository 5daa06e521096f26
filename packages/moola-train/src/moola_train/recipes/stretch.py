"""One uninterrupted stretch of a symbol's bars in a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars
from moola_train.recipes.answers import Answers
from moola_train.recipes.covering import grid, merge
from moola_train.recipes.marking import Marks
from moola_train.recipes.warm_features import first_needed, warm_features

if TYPE_CHECKING:
    from moola_train.recipes.detector import Detector

COLUMNS = ("time", "open", "high", "low", "close")
Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float32]


class Advance(NamedTuple):
    """What new bars changed."""

    marks: Marks | None
    """Spans that no earlier call has settled, on the bars that the stretch remembers; None while it is
    shorter than a window."""
    bars: Bars
    settled: npt.NDArray[np.bool_]
    """Which spans no later bar changes, (m,)."""


class Stretch:
    """Remembers as few bars and answers of a stretch as its unsettled end needs.

    Whatever comes, no further window holds a bar that a window's length of bars has followed: it is settled,
    and so is a span with a settled bar behind it.

    Args:
        detector: The run.
        symbol: Whose bars they are.
    """

    def __init__(self, detector: Detector, symbol: str) -> None:
        self.detector = detector
        self.symbol = symbol
        self.count = 0
        """Bars that came."""
        self._base = 0  # number of the first remembered bar
        self._next = 0  # first bar of the next window of the grid
        self._open = 0  # bars before it are in spans that are settled, or in none
        self._columns = {name: np.empty(0, "M8[ns]" if name == "time" else np.float64) for name in COLUMNS}
        self._starts: Int = np.empty(0, np.int64)
        self._found: Answers | None = None

    @property
    def last_time(self) -> np.datetime64:
        """Of the last bar."""
        last: np.datetime64 = self._columns["time"][-1]
        return last

    @property
    def settled(self) -> int:
        """How many bars from the head on are settled while the stretch goes on."""
        return max(self.count - self.detector.decision.length, 0)

    @property
    def settled_time(self) -> np.datetime64 | None:
        """Of the last settled bar; None if there is none."""
        if not self.settled:
            return None
        time: np.datetime64 = self._columns["time"][self.settled - 1 - self._base]
        return time

    def advance(self, bars: Bars, rows: slice) -> Advance:
        """Takes the next bars, those of `rows`."""
        for name, old in self._columns.items():
            self._columns[name] = np.concatenate([old, getattr(bars, name)[rows]])
        self.count += rows.stop - rows.start
        mine = self._bars()
        length = self.detector.decision.length
        if self.count < length:
            return Advance(None, mine, np.empty(0, bool))
        new = np.arange(self._next, self.count - length + 1, grid(length), dtype=np.int64)
        self._next += len(new) * grid(length)
        # The last window of the stretch, if it ended now; the grid may have it.
        flush = np.setdiff1d([self.count - length], np.concatenate([self._starts, new]))
        asked = np.concatenate([new, flush]).astype(np.int64)
        starts, found = self._starts, self._found
        if len(asked):
            answer = self._ask(mine, asked)
            found = answer if found is None else _joined(found, answer)
            starts = np.concatenate([starts, asked])
        assert found is not None  # of a window or more
        grid_windows = len(starts) - len(flush)
        self._starts, self._found = starts[:grid_windows], _rows(found, slice(0, grid_windows))
        order = np.argsort(starts, kind="stable")
        marks = self._mark(mine, _rows(found, order), starts[order])
        first, last = marks.spans.start + self._base, marks.spans.end + self._base
        settled = last + 1 < self.settled
        self._open = min([self.settled, *first[~settled].tolist()])
        self._forget()
        return Advance(marks, mine, settled)

    def _bars(self) -> Bars:
        size = len(self._columns["time"])
        return Bars(
            **self._columns,
            symbol=np.zeros(size, np.int32),
            segment=np.zeros(size, np.int64),
            symbols=(self.symbol,),
        )

    def _ask(self, mine: Bars, starts: Int) -> Answers:
        length, base, features = self.detector.decision.length, self._base, self.detector.features
        low, high = int(starts.min()), int(starts.max()) + length
        values = warm_features(mine, features, low - base, high - base, offset=base)
        return self.detector.answer(values, starts - low)

    def _mark(self, mine: Bars, found: Answers, starts: Int) -> Marks:
        length = self.detector.decision.length
        # Windows may begin before what is remembered: room for them, cut off again.
        room = max(self._base - int(starts[0]), 0)
        size = len(mine) + room
        merged = merge(found, starts - self._base + room, bars=size, length=length, mode="both")
        probability = merged.probability[room:].copy()
        probability[: max(self._open - self._base, 0)] = np.nan  # said already
        merged = merged._replace(
            probability=probability,
            countdown=None if merged.countdown is None else merged.countdown[room:],
            starts=merged.starts - room,
        )
        return self.detector.spans(merged, mine)

    def _forget(self) -> None:
        length = self.detector.decision.length
        soon = min(self._next, self.count - length)
        needed_first = min(first_needed(soon, self.detector.features), self._open, self.settled - 1)
        keep = max(needed_first, self._base)
        for name, column in self._columns.items():
            self._columns[name] = column[keep - self._base :].copy()
        self._base = keep
        if self._found is not None:
            needed = np.flatnonzero(self._starts + length > self._open)
            self._starts, self._found = self._starts[needed], _rows(self._found, needed)


def _rows(found: Answers, rows: slice | npt.NDArray[np.int64]) -> Answers:
    return Answers(
        found.probability[rows],
        None if found.pointers is None else found.pointers[rows],
        None if found.countdown is None else found.countdown[rows],
        None if found.type_probability is None else found.type_probability[rows],
    )


def _joined(first: Answers, second: Answers) -> Answers:
    return Answers(
        np.concatenate([first.probability, second.probability]),
        _both(first.pointers, second.pointers),
        _both(first.countdown, second.countdown),
        _both(first.type_probability, second.type_probability),
    )


def _both(first: Float | None, second: Float | None) -> Float | None:
    return None if first is None or second is None else np.concatenate([first, second])
