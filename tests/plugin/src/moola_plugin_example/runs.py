"""A labeller: five bars or more in a row that close the same way."""

from __future__ import annotations

import numpy as np

from moola_data.schema import Bars, Spans

LEAST = 5


def label_runs(bars: Bars) -> Spans:
    """Marks every run of `LEAST` bars or more that close above the close before them, or all below it."""
    way = np.sign(np.diff(bars.close, prepend=bars.close[:1]))
    way[np.flatnonzero(np.diff(bars.segment, prepend=-1))] = 0  # a segment's first bar has no bar before it
    border = np.flatnonzero(np.diff(way)) + 1
    start = np.concatenate([[0], border])
    end = np.concatenate([border, [len(bars)]]) - 1
    kept = (end - start + 1 >= LEAST) & (way[start] != 0)
    return Spans(
        start=start[kept],
        end=end[kept],
        type=np.full(kept.sum(), -1),
        weight=np.ones(kept.sum(), np.float32),
        type_names=(),
        annotator=f"runs of {LEAST} closes",
        label="run",
    )
