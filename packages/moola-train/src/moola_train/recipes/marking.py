"""From what overlapping windows say to spans with type, pointers and confidence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars, Spans
from moola_eval.decoding import decode
from moola_train.recipes.confidence import Confidence
from moola_train.recipes.covering import Merged, Mode
from moola_train.recipes.drift import DriftReport

Float = npt.NDArray[np.float32]


class Marks(NamedTuple):
    """What a run says of N bars: m spans, numbers by bar."""

    mode: Mode
    spans: Spans
    score: Float
    """Mean in-span probability of each span's bars, (m,)."""
    confidence: Float
    """How often a span with this score finds a true one, (m,); NaN of a run that has not learnt it."""
    pointers: Float
    """Centre and length in bars, (m, 2), the centre counted from the span's first bar: means over the windows
    that hold the span and point into it; NaN where none does, or the run has no pointers."""
    probability: Float
    """Of every bar, (N,); NaN where no window reaches."""
    countdown: Float | None
    """Bars to the nearest start, (N,); None of a run that does not count."""
    drift: DriftReport | None = None
    """The bars' features against those of training; None of a run that does not remember them."""

    @property
    def unmarked(self) -> int:
        """Bars that no window reaches: in stretches shorter than one, or before the first has its bars."""
        return int(np.isnan(self.probability).sum())


def spans_of(
    merged: Merged,
    bars: Bars,
    *,
    threshold: float,
    confidence: Confidence | None,
    type_names: tuple[str, ...],
) -> Marks:
    """Cuts runs of bars that reach the threshold, never across a change of segment.

    Args:
        merged: What windows say of the bars.
        bars: The bars.
        threshold: A probability equal to it is marked.
        confidence: From a span's score to its confidence.
        type_names: Of the run.

    Returns:
        The spans. A span's type is the most probable by the mean over the windows that hold its middle bar
        (causal: that end in it).
    """
    probability = merged.probability
    known = np.flatnonzero(~np.isnan(probability))
    piece = np.diff(bars.segment[known], prepend=bars.segment[known[:1]]) != 0
    # Bars without a window in the middle of a segment would part it, too; there are none.
    lengths = np.bincount(np.cumsum(piece)) if len(known) else np.zeros(0, np.int64)
    cut = decode(probability[known], threshold=threshold, lengths=lengths)
    assert cut.score is not None  # decode gives one
    head = known[np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)] if len(known) else known
    start, end = head[cut.sequence] + cut.start, head[cut.sequence] + cut.end
    spans = Spans(
        start=start.astype(np.int64),
        end=end.astype(np.int64),
        type=_types(merged, start, end),
        weight=np.ones(len(start), np.float32),
        type_names=type_names,
        annotator="moola",
        label="expansion",
    )
    sure = np.full(len(start), np.nan, np.float32) if confidence is None else confidence(cut.score)
    return Marks(
        merged.mode,
        spans,
        cut.score.astype(np.float32),
        sure,
        _pointers(merged, start, end),
        probability,
        merged.countdown,
    )


class _Pairs(NamedTuple):
    """Spans and windows that have to do with each other, in the spans' order."""

    span: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]


def _pairs(merged: Merged, first: npt.NDArray[np.integer], last: npt.NDArray[np.integer]) -> _Pairs:
    """Pairs each span with the windows whose own first bar is in first..last."""
    low = np.searchsorted(merged.starts, first, "left")
    count = np.maximum(np.searchsorted(merged.starts, last, "right") - low, 0)
    span = np.repeat(np.arange(len(low)), count)
    place = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count)
    return _Pairs(span, low[span] + place)


def _means(
    spans: int, span: npt.NDArray[np.int64], said: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Means by span, (m, c); NaN where nothing was said."""
    count = np.bincount(span, minlength=spans)[:, None]
    sums = np.stack([np.bincount(span, weights=column, minlength=spans) for column in said.T], axis=1)
    means = np.full(sums.shape, np.nan)
    np.divide(sums, count, out=means, where=count > 0)
    return means


def _types(
    merged: Merged, start: npt.NDArray[np.integer], end: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    said = merged.type_probability
    if said is None:
        return np.full(len(start), -1, np.int64)
    middle, reach = (start + end) // 2, merged.length - 1
    if merged.mode == "both":
        pairs = _pairs(merged, middle - reach, middle)
    else:
        pairs = _pairs(merged, start - reach, end - reach)
    means = _means(len(start), pairs.span, said[pairs.window])
    return np.asarray(means.argmax(axis=1), np.int64)


def _pointers(merged: Merged, start: npt.NDArray[np.integer], end: npt.NDArray[np.integer]) -> Float:
    if merged.pointers is None:
        return np.full((len(start), 2), np.nan, np.float32)
    reach = merged.length - 1
    if merged.mode == "both":
        pairs = _pairs(merged, end - reach, start)
    else:
        pairs = _pairs(merged, start - reach, end - reach)
    said = merged.pointers[pairs.window].astype(np.float64)
    said[:, 0] += merged.starts[pairs.window] - start[pairs.span]
    inside = (said[:, 0] >= -0.5) & (said[:, 0] <= (end - start)[pairs.span] + 0.5)
    return _means(len(start), pairs.span[inside], said[inside]).astype(np.float32)
