"""What the true spans say about each window: marked bars, the longest span, bars to the nearest start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moola_eval._arguments import BoolArray, FloatArray, IntArray
from moola_eval.schema import Truth
from moola_eval.spans import Spans


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The truth of n windows of K bars in the forms that metrics ask for.

    Attributes:
        spans: True spans; the label is 0 for all, types are scored for themselves.
        mask: (n, K) bool, bars inside any span.
        has_span: (n,) bool.
        start: (n,) int64, first bar of the longest span (of equals the first); 0 where there is none.
        end: (n,) int64, its last bar, inclusive.
        type: (n,) int64, its type; -1 where there is none or it has no type.
        countdown: (n, K) float64, bars to the nearest start (of two equally near the later), negative after
            it; NaN where the window has no span.
    """

    spans: Spans
    mask: BoolArray
    has_span: BoolArray
    start: IntArray
    end: IntArray
    type: IntArray
    countdown: FloatArray

    @classmethod
    def of(cls, truth: Truth) -> Targets:
        """Derives the targets of labelled windows."""
        table, n = truth.spans, len(truth.starts)
        lengths = np.full(n, truth.length, dtype=np.int64)
        names = len(truth.type_names)
        bad = np.flatnonzero((table.type < -1) | (table.type >= names))
        if bad.size:
            raise ValueError(
                f"truth.spans.type: want -1..{names - 1}, got {table.type[bad[0]]} in row {bad[0]}"
            )
        typed = Spans.of(table.window, table.start, table.end, lengths=lengths, label=table.type)
        spans = Spans(typed.sequence, typed.start, typed.end, np.zeros_like(typed.label), None, typed.lengths)
        order = np.lexsort([typed.start, -typed.size, typed.sequence])
        windows, first = np.unique(typed.sequence[order], return_index=True)
        longest = order[first]
        start, end = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        kind = np.full(n, -1, dtype=np.int64)
        start[windows], end[windows], kind[windows] = (
            typed.start[longest],
            typed.end[longest],
            typed.label[longest],
        )
        has_span = np.zeros(n, dtype=np.bool_)
        has_span[windows] = True
        return cls(
            spans=spans,
            mask=spans.mask().reshape(n, truth.length),
            has_span=has_span,
            start=start,
            end=end,
            type=kind,
            countdown=_countdown(spans, truth.length, has_span),
        )


def _countdown(spans: Spans, length: int, has_span: BoolArray) -> FloatArray:
    n = len(has_span)
    out = np.full((n, length), np.nan)
    if not len(spans):
        return out
    start = spans.sequence * length + spans.start
    bar = np.arange(n * length)
    window = bar // length
    after = np.searchsorted(start, bar, "left")
    later = start[np.minimum(after, len(start) - 1)] - bar
    has_later = (after < len(start)) & (start[np.minimum(after, len(start) - 1)] // length == window)
    earlier = start[np.maximum(after - 1, 0)] - bar
    has_earlier = (after > 0) & (start[np.maximum(after - 1, 0)] // length == window)
    forward = has_later & (~has_earlier | (later <= -earlier))
    nearest = np.where(forward, later, earlier).astype(np.float64)
    return np.where(has_span[:, None], nearest.reshape(n, length), np.nan)
