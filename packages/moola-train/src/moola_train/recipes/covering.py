"""Which windows are looked at to mark bars, and what they say together."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.windows import window_starts
from moola_train.recipes.answers import Answers

Float = npt.NDArray[np.float32]
Int = npt.NDArray[np.int64]
Mode = Literal["both", "causal"]
"""Whether a bar is judged by all windows that hold it, or by the one that ends with it."""


class Merged(NamedTuple):
    """What overlapping windows say together of N bars."""

    mode: Mode
    length: int
    probability: Float
    """In-span probability, (N,); NaN where no window is."""
    countdown: Float | None
    """Bars to the nearest start, (N,)."""
    starts: Int
    """The windows' first bars, ascending, (n,)."""
    pointers: Float | None
    """Centre within the window and length, in bars, (n, 2)."""
    type_probability: Float | None
    """(n, C)."""


def covering_starts(segment: Int, *, length: int, mode: Mode) -> Int:
    """First bars of the windows that mark every bar of every stretch of a window's length or more.

    "both": windows overlap by half from the head of a stretch on, the last ends on its last bar. "causal": a
    window ends on every bar but the first length - 1 of a stretch.
    """
    if mode == "causal":
        return window_starts(segment, length=length)
    starts = window_starts(segment, length=length, stride=grid(length))
    ends = np.flatnonzero(np.append(np.diff(segment) != 0, True)) + 1 if len(segment) else np.zeros(0, int)
    heads = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    flush = (ends - length)[ends - heads >= length]
    return np.union1d(starts, flush).astype(np.int64)


def grid(length: int) -> int:
    """Bars from one window to the next."""
    return max(length // 2, 1)


def kept(found: Answers, mode: Mode) -> Answers:
    """Drops what a mode does not use: a causal mark is the last bar's of its window."""
    if mode == "both":
        return found
    countdown = None if found.countdown is None else found.countdown[:, -1:]
    return found._replace(probability=found.probability[:, -1:], countdown=countdown)


class Merging:
    """Adds up windows' answers bar by bar, in any number of pieces.

    Args:
        bars: How many bars there are.
        length: Bars a window.
        mode: Which windows there are.
    """

    def __init__(self, bars: int, *, length: int, mode: Mode) -> None:
        self.bars, self.length, self.mode = bars, length, mode
        self._sums: dict[str, npt.NDArray[np.float64]] = {}
        self._count = np.zeros(bars, np.uint8)
        self._parts: list[tuple[Int, Answers]] = []

    def add(self, found: Answers, starts: Int) -> None:
        """Takes the answers of `kept` for windows that follow those taken before."""
        width = found.probability.shape[1]
        rows = starts[:, None] + np.arange(self.length - width, self.length)
        low, high = int(rows[0, 0]), int(rows[-1, -1]) + 1
        at = (rows - low).reshape(-1)
        for name, values in (("probability", found.probability), ("countdown", found.countdown)):
            if values is not None:
                sums = self._sums.setdefault(name, np.zeros(self.bars))
                sums[low:high] += np.bincount(at, weights=values.reshape(-1), minlength=high - low)
        self._count[low:high] += np.bincount(at, minlength=high - low).astype(np.uint8)
        small = found._replace(probability=found.probability[:0], countdown=None)
        self._parts.append((starts, small))

    def merged(self) -> Merged:
        """Divides by how many windows hold each bar."""
        count = np.where(self._count == 0, np.nan, self._count)
        means = {name: (sums / count).astype(np.float32) for name, sums in self._sums.items()}
        parts = [found for _, found in self._parts]
        return Merged(
            self.mode,
            self.length,
            means["probability"],
            means.get("countdown"),
            np.concatenate([starts for starts, _ in self._parts]),
            _joined([found.pointers for found in parts]),
            _joined([found.type_probability for found in parts]),
        )


def merge(found: Answers, starts: Int, *, bars: int, length: int, mode: Mode) -> Merged:
    """Merges answers that are all there; windows ascending."""
    merging = Merging(bars, length=length, mode=mode)
    merging.add(kept(found, mode), starts)
    return merging.merged()


def _joined(parts: list[Float | None]) -> Float | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None
