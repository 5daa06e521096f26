"""Spans on bars, and what a window sees of them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars, Spans, WindowSpans

Int = npt.NDArray[np.int64]


class Runs(Protocol):
    """Spans by window: anything with the arrays `window`, `start` and `end`, i8 (m,), both ends inclusive."""

    @property
    def window(self) -> Int: ...  # noqa: D102
    @property
    def start(self) -> Int: ...  # noqa: D102
    @property
    def end(self) -> Int: ...  # noqa: D102


def check_spans(spans: Spans, bars: Bars) -> None:
    """Raises ValueError at the first span that cannot stand on these bars.

    Args:
        spans: Spans whose ends are bar numbers of `bars`.
        bars: The bars.

    Raises:
        ValueError: A span ends before it starts, lies outside the bars, crosses a change of segment or
            stands twice; a type is not -1 or an index of `type_names`; a weight is negative or not finite.
    """
    n = len(bars)

    def refuse(bad: npt.NDArray[np.bool_], message: str) -> None:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            found = message.format(start=spans.start[row], end=spans.end[row], type=spans.type[row])
            raise ValueError(f"spans: {found} in row {row}")

    refuse(spans.end < spans.start, "want end >= start, got {start}..{end}")
    refuse((spans.start < 0) | (spans.end >= n), f"want bars in 0..{n - 1}, got {{start}}..{{end}}")
    crossing = bars.segment[spans.start] != bars.segment[spans.end]
    refuse(crossing, "want a span inside one segment, got {start}..{end} across a barrier")
    refuse(
        (spans.type < -1) | (spans.type >= len(spans.type_names)),
        f"want a type in -1..{len(spans.type_names) - 1}, got {{type}}",
    )
    refuse(~np.isfinite(spans.weight) | (spans.weight < 0), "want a finite weight >= 0, got another")
    _, first = np.unique(np.stack([spans.start, spans.end], axis=1), axis=0, return_index=True)
    again = np.ones(len(spans), bool)
    again[first] = False
    refuse(again, "want each span once, got {start}..{end} again")


def check_runs(runs: Runs, *, windows: int, length: int) -> None:
    """Raises ValueError at the first span that leaves its window.

    Args:
        runs: Spans by window.
        windows: Number of windows n.
        length: Bars a window K.

    Raises:
        ValueError: A window is none of 0..n-1, or a span ends before it starts or leaves 0..K-1.
    """
    bad = np.flatnonzero((runs.window < 0) | (runs.window >= windows))
    if bad.size:
        raise ValueError(f"window: want 0..{windows - 1}, got {runs.window[bad[0]]} in row {bad[0]}")
    bad = np.flatnonzero((runs.start < 0) | (runs.end >= length) | (runs.end < runs.start))
    if bad.size:
        found = f"{runs.start[bad[0]]}..{runs.end[bad[0]]}"
        raise ValueError(f"runs: want 0 <= start <= end < {length}, got {found} in row {bad[0]}")


def visible_pairs(spans: Spans, starts: Int, *, length: int) -> tuple[Int, Int]:
    """Pairs every window with every span that it sees at least one bar of.

    Args:
        spans: Spans on the bars, in any order; they may overlap.
        starts: First bars of the windows, i8 (n,).
        length: Bars a window.

    Returns:
        Window numbers and span numbers, i8 (p,) each, sorted by window, then by start of the span.
    """
    order = np.lexsort((spans.end, spans.start))
    begin, end = spans.start[order], spans.end[order]
    # A span that starts early may reach far, so the lower bound needs the furthest end so far.
    low = np.searchsorted(np.maximum.accumulate(end) if end.size else end, starts, side="left")
    high = np.searchsorted(begin, starts + length - 1, side="right")
    count = np.maximum(high - low, 0)
    window = np.repeat(np.arange(len(starts)), count)
    skipped = np.repeat(np.cumsum(count) - count, count)
    span = np.arange(len(window)) - skipped + np.repeat(low, count)
    seen = end[span] >= starts[window]
    return window[seen].astype(np.int64), order[span[seen]].astype(np.int64)


def visible_spans(spans: Spans, starts: Int, *, length: int) -> WindowSpans:
    """Cuts spans to windows: positions from the window's first bar, visible part only, flag where cut.

    Args:
        spans: Spans on the bars.
        starts: First bars of the windows, i8 (n,).
        length: Bars a window.

    Returns:
        The visible spans, sorted by window, then by start.
    """
    window, span = visible_pairs(spans, starts, length=length)
    start, end = spans.start[span] - starts[window], spans.end[span] - starts[window]
    return WindowSpans(
        window=window,
        start=np.maximum(start, 0),
        end=np.minimum(end, length - 1),
        type=spans.type[span],
        weight=spans.weight[span],
        cut=(start < 0) | (end >= length),
    )


def longest_span(runs: Runs, *, windows: int) -> Int:
    """Finds the longest visible span of each window; of equals, the first.

    Args:
        runs: Spans by window.
        windows: Number of windows n.

    Returns:
        Span number by window, -1 where the window sees none, i8 (n,).
    """
    longest = np.full(windows, -1, np.int64)
    # Written in ascending order of preference: the last writer of a window wins.
    order = np.lexsort((-runs.start, runs.end - runs.start))
    longest[runs.window[order]] = order
    return longest
