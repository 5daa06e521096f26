"""Windows of three parts of time that share no bar and no label."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from moola_data._arrays import Arr, Boundary
from moola_data.blocks import PARTS, block_parts, time_blocks
from moola_data.schema import Bars, Spans
from moola_data.spans import Int, check_spans, visible_pairs
from moola_data.windows import window_starts


class WindowSplit(Boundary):
    """Where the windows of a data set start and which part each belongs to."""

    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """First bars, ascending within a part."""
    length: int
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Block of time of the window's middle bar; no block has windows of two parts."""
    split: Annotated[npt.NDArray[np.int8], Arr("i1", ("n",))]
    """0 train, 1 inner, 2 test."""
    purged: dict[str, int]
    """Windows left out, by part, because they share bars or labels with another part."""

    def __len__(self) -> int:
        return len(self.starts)


def window_extents(spans: Spans, starts: Int, *, length: int) -> tuple[Int, Int]:
    """Gives the bars that a window depends on: its own and all those of the spans it sees a part of.

    Args:
        spans: Spans on the bars.
        starts: First bars of the windows, i8 (n,).
        length: Bars a window.

    Returns:
        First and last bar, both inclusive, i8 (n,) each.
    """
    first, last = starts.copy(), starts + length - 1
    window, span = visible_pairs(spans, starts, length=length)
    np.minimum.at(first, window, spans.start[span])
    np.maximum.at(last, window, spans.end[span])
    return first, last


def split_windows(
    bars: Bars,
    spans: Spans,
    *,
    length: int = 105,
    stride: int = 5,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    block: int | None = None,
    warmup: int = 0,
    embargo: int = 0,
) -> WindowSplit:
    """Cuts windows for training, choosing (inner) and reporting (test), one part of time after the other.

    Training windows may overlap each other. Windows of the other two parts do not: they lie end to end from
    the part's first bar in each segment, so no bar is scored twice. A window is left out, and counted, when
    its bars, the spans it sees (their hidden parts too), its `warmup` bars before or its `embargo` bars after
    it touch another part.

    Args:
        bars: The bars.
        spans: Their spans.
        length: Bars a window.
        stride: Bars from one training window to the next.
        fractions: Shares of time for train, inner and test.
        block: Distinct times a block, the unit that is assigned to a part; `length` unless given.
        warmup: Bars before a window that its features depend on.
        embargo: Bars that must lie between a window's last bar (or label) and the next part.

    Returns:
        The windows: those of train, then inner, then test.

    Raises:
        ValueError: A part has no window left, a span does not fit the bars, or an argument is out of range.
    """
    check_spans(spans, bars)
    for name, value in (("warmup", warmup), ("embargo", embargo)):
        if value < 0:
            raise ValueError(f"{name}: want 0 or more bars, got {value}")
    blocks = time_blocks(bars, size=length if block is None else block)
    part = block_parts(blocks, fractions=fractions)
    whole = window_starts(bars.segment, length=length, stride=stride, first=warmup)
    tiled = window_starts(_pieces(bars.segment, part), length=length, stride=length, first=warmup)
    candidates = [whole[part[whole] == 0], *(tiled[part[tiled] == p] for p in (1, 2))]

    symbol_first = np.searchsorted(bars.symbol, bars.symbol, side="left")
    symbol_last = np.searchsorted(bars.symbol, bars.symbol, side="right") - 1
    kept, purged = [], {}
    for number, (name, starts) in enumerate(zip(PARTS, candidates, strict=True)):
        first, last = window_extents(spans, starts, length=length)
        first = np.maximum(first - warmup, symbol_first[starts])
        last = np.minimum(last + embargo, symbol_last[starts])
        # Within a symbol the parts follow each other in time, so both ends in one part is all of it.
        clean = (part[first] == number) & (part[last] == number)
        kept.append(starts[clean])
        purged[name] = int((~clean).sum())
        if not clean.any():
            size = int((part == number).sum())
            raise ValueError(
                f"bars: want at least 1 window of {length} bars for {name}, got 0: it has {size} of the "
                f"{len(bars)} bars, and {purged[name]} windows were purged"
            )
    starts = np.concatenate(kept)
    return WindowSplit(
        starts=starts,
        length=length,
        group=blocks[starts + length // 2],
        split=np.repeat(np.arange(3, dtype=np.int8), [len(s) for s in kept]),
        purged=purged,
    )


def _pieces(segment: Int, part: npt.NDArray[np.int8]) -> Int:
    """Numbers the runs of bars that share segment and part."""
    changes = (np.diff(segment) != 0) | (np.diff(part) != 0)
    return np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)
