"""Further training windows: the same span elsewhere in the window, cut from the real bars around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moola_data.intervals import touching, window_intervals
from moola_data.schema import Bars, Spans
from moola_data.spans import visible_pairs
from moola_data.window_split import WindowSplit


def add_shifted(
    split: WindowSplit,
    bars: Bars,
    spans: Spans,
    *,
    offsets: Sequence[int] = (-52, 52),
    min_visible: float = 0.3,
    warmup: int = 0,
) -> WindowSplit:
    """Adds copies of training windows that start `offset` bars later (or earlier, if negative).

    A copy must lie in its source's segment, show at least `min_visible` of a span that its source sees, be
    no window that is there already, and share no time with a window of another part: those that do are
    counted as purged. It belongs to its source's group and part.

    Args:
        split: Windows.
        bars: The bars they were cut from.
        spans: Their spans.
        offsets: Shifts in bars.
        min_visible: Least visible share of the span, in 0..1.
        warmup: Bars before a window that its features depend on.

    Returns:
        The windows, then the copies, by offset, then source.

    Raises:
        ValueError: `min_visible` is out of range or an offset is 0.
    """
    if not 0 <= min_visible <= 1:
        raise ValueError(f"min_visible: want a share in 0..1, got {min_visible}")
    if 0 in offsets:
        raise ValueError(f"offsets: want shifts other than 0, got {tuple(offsets)}")
    length, train = split.length, np.flatnonzero(split.split == 0)
    window, span = visible_pairs(spans, split.starts[train], length=length)
    sources, starts = [], []
    for offset in offsets:
        first = split.starts[train] + offset
        last = first + length - 1
        inside = (first - warmup >= 0) & (last < len(bars))
        home = bars.segment[split.starts[train]]
        inside[inside] &= bars.segment[first[inside] - warmup] == home[inside]
        inside[inside] &= bars.segment[last[inside]] == home[inside]
        shown = np.minimum(spans.end[span], last[window]) - np.maximum(spans.start[span], first[window]) + 1
        enough = shown >= min_visible * (spans.end[span] - spans.start[span] + 1)
        shows = np.zeros(len(train), bool)
        shows[window[enough & (shown > 0)]] = True
        sources.append(train[inside & shows])
        starts.append(first[inside & shows])
    source, start = np.concatenate(sources), np.concatenate(starts)
    _, once = np.unique(start, return_index=True)
    new = np.zeros(len(start), bool)
    new[once] = True
    new &= ~np.isin(start, split.starts[train])
    source, start = source[new], start[new]
    others = split.starts[split.split != 0]
    clean = ~touching(
        window_intervals(bars, spans, start, length=length, warmup=warmup),
        window_intervals(bars, spans, others, length=length, warmup=warmup),
    )
    purged = split.purged | {"train": split.purged.get("train", 0) + int((~clean).sum())}
    return WindowSplit(
        starts=np.concatenate([split.starts, start[clean]]),
        length=length,
        group=np.concatenate([split.group, split.group[source[clean]]]),
        split=np.concatenate([split.split, split.split[source[clean]]]),
        purged=purged,
    )
