"""One-to-one matching of true and predicted spans: computed once, used by every span metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from moola_eval._arguments import BoolArray, FloatArray, IntArray, fraction
from moola_eval._staircase import is_staircase, match_staircase
from moola_eval.spans import Spans, index_ranges

Labels = Literal["strict", "ignored"]
Method = Literal["optimal", "greedy_iou", "greedy_score"]


@dataclass(frozen=True, slots=True)
class IoU:
    """Common bars / bars of the union >= threshold (inclusive)."""

    threshold: float = 0.5

    def __post_init__(self) -> None:
        fraction("threshold", self.threshold)

    def __str__(self) -> str:
        return f"iou>={self.threshold:g}"


@dataclass(frozen=True, slots=True)
class Exact:
    """Same first and same last bar."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True, slots=True)
class Collar:
    """First bars at most `onset` apart, last bars at most max(`offset`, offset_fraction x true length).

    ``offset=None`` asks nothing of the last bar.
    """

    onset: int = 1
    offset: int | None = 1
    offset_fraction: float = 0.0

    def __post_init__(self) -> None:
        if self.onset < 0 or (self.offset is not None and self.offset < 0):
            raise ValueError(f"collar: want 0 or more bars, got {self.onset} and {self.offset}")
        fraction("offset_fraction", self.offset_fraction, zero=True)

    def __str__(self) -> str:
        if self.offset is None:
            return f"onset<={self.onset}"
        share = (
            f"max({self.offset},{self.offset_fraction:g}*true)" if self.offset_fraction else f"{self.offset}"
        )
        return f"onset<={self.onset} offset<={share}"


@dataclass(frozen=True, slots=True)
class Overlap:
    """At least one common bar, and common bars >= of_true x true length and >= of_pred x predicted length."""

    of_true: float = 0.0
    of_pred: float = 0.0

    def __post_init__(self) -> None:
        fraction("of_true", self.of_true, zero=True)
        fraction("of_pred", self.of_pred, zero=True)

    def __str__(self) -> str:
        return f"overlap>={self.of_true:g}*true,{self.of_pred:g}*pred"


Criterion = IoU | Exact | Collar | Overlap
HALF = IoU(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Matched pairs of spans, in the order of the true spans.

    Attributes:
        true: The true spans.
        pred: The predicted spans.
        true_index: (k,) int64 rows of `true`.
        pred_index: (k,) int64 rows of `pred`; no row of either side occurs twice.
        iou: (k,) float64 in [0, 1].
        definition: The rule, in words.
    """

    true: Spans
    pred: Spans
    true_index: IntArray
    pred_index: IntArray
    iou: FloatArray
    definition: str

    def __len__(self) -> int:
        return len(self.true_index)

    @property
    def onset_error(self) -> IntArray:
        """Predicted minus true first bar, (k,) bars; positive is late."""
        return self.pred.start[self.pred_index] - self.true.start[self.true_index]

    @property
    def offset_error(self) -> IntArray:
        """Predicted minus true last bar, (k,) bars; positive is late."""
        return self.pred.end[self.pred_index] - self.true.end[self.true_index]

    @property
    def per_sequence(self) -> IntArray:
        """Pairs in each sequence, (n,) int64."""
        return np.bincount(self.true.sequence[self.true_index], minlength=len(self.true.lengths))


def match(
    true: Spans,
    pred: Spans,
    *,
    criterion: Criterion = HALF,
    labels: Labels = "strict",
    method: Method = "optimal",
) -> Matches:
    """Pairs true with predicted spans, each at most once.

    Args:
        true: True spans of n sequences.
        pred: Predicted spans of the same sequences.
        criterion: Which pairs may match.
        labels: "strict" matches only spans of one label.
        method: "optimal" finds the most pairs, among those the largest total IoU. "greedy_iou" takes pairs
            from the largest IoU down; "greedy_score" lets predictions choose from the highest score down.

    Returns:
        The pairs. The result depends on no order of rows, spans or sequences.

    Raises:
        ValueError: The two sides differ in their sequences, or scores are missing for "greedy_score".

    >>> true = Spans.from_lists([[(40, 49)]], lengths=[105])
    >>> pred = Spans.from_lists([[(41, 50), (90, 99)]], lengths=[105])
    >>> pairs = match(true, pred)
    >>> len(pairs), round(float(pairs.iou[0]), 3), pairs.onset_error.tolist()
    (1, 0.818, [1])
    """
    t, p, iou = candidates(true, pred, criterion=criterion, labels=labels)
    if method == "optimal":
        kept = _optimal(t, p, iou, len(true), len(pred))
    else:
        kept = _greedy(t, p, iou, pred, method)
    order = np.argsort(t[kept], kind="stable")
    definition = f"{criterion}; one-to-one {method.replace('_', ' by ')}; labels {labels}"
    return Matches(true, pred, t[kept][order], p[kept][order], iou[kept][order], definition)


def candidates(
    true: Spans, pred: Spans, *, criterion: Criterion = HALF, labels: Labels = "strict"
) -> tuple[IntArray, IntArray, FloatArray]:
    """Lists every pair that meets the criterion: row of `true`, row of `pred`, IoU; by prediction."""
    if not np.array_equal(true.lengths, pred.lengths):
        raise ValueError(
            f"pred: want the {len(true.lengths)} sequences of the truth with their lengths, "
            f"got {len(pred.lengths)} that differ"
        )
    if isinstance(criterion, Collar):
        t, p = _near(true, pred, criterion.onset)
    else:
        t, p = _overlapping(true, pred)
    common = np.minimum(true.end[t], pred.end[p]) - np.maximum(true.start[t], pred.start[p]) + 1
    common = np.maximum(common, 0)
    size_t, size_p = true.size[t], pred.size[p]
    iou = common / (size_t + size_p - common)
    if isinstance(criterion, IoU):
        good = iou >= criterion.threshold
    elif isinstance(criterion, Exact):
        good = iou == 1.0
    elif isinstance(criterion, Overlap):
        good = (common > 0) & (common >= criterion.of_true * size_t) & (common >= criterion.of_pred * size_p)
    elif criterion.offset is None:
        good = np.ones(len(t), dtype=np.bool_)
    else:
        allowed = np.maximum(criterion.offset, criterion.offset_fraction * size_t)
        good = np.abs(true.end[t] - pred.end[p]) <= allowed
    if labels == "strict":
        good &= true.label[t] == pred.label[p]
    return t[good], p[good], iou[good]


def _overlapping(true: Spans, pred: Spans) -> tuple[IntArray, IntArray]:
    """Pairs with a common bar (and, where true spans overlap each other, some without)."""
    begin = np.cumsum(true.lengths) - true.lengths
    # The running maximum of the ends is sorted even where a long span hides short ones.
    reach = np.maximum.accumulate(begin[true.sequence] + true.end)
    origin = begin[pred.sequence]
    low = np.searchsorted(reach, origin + pred.start, "left")
    high = np.searchsorted(begin[true.sequence] + true.start, origin + pred.end, "right")
    return _expand(low, high)


def _near(true: Spans, pred: Spans, onset: int) -> tuple[IntArray, IntArray]:
    """Pairs whose first bars are at most `onset` apart."""
    spaced = true.lengths + onset + 1
    begin = np.cumsum(spaced) - spaced
    place = begin[true.sequence] + true.start
    origin = begin[pred.sequence] + pred.start
    return _expand(
        np.searchsorted(place, origin - onset, "left"), np.searchsorted(place, origin + onset, "right")
    )


def _expand(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    count = np.maximum(high - low, 0)
    return index_ranges(low, count), np.repeat(np.arange(len(low)), count)


def _optimal(t: IntArray, p: IntArray, iou: FloatArray, n_true: int, n_pred: int) -> BoolArray:
    """Most pairs, then largest total IoU. Only edges that compete for a span need any work."""
    crowded = (np.bincount(t, minlength=n_true)[t] > 1) | (np.bincount(p, minlength=n_pred)[p] > 1)
    kept = ~crowded
    rows = np.flatnonzero(crowded)
    if not len(rows):
        return kept
    rows = rows[np.lexsort((p[rows], t[rows]))]
    if is_staircase(t[rows], p[rows]):
        kept[rows] = match_staircase(t[rows], p[rows], iou[rows])
        return kept
    graph = coo_array((np.ones(len(rows)), (t[rows], n_true + p[rows])), shape=(n_true + n_pred,) * 2)
    part = connected_components(graph, directed=False)[1][t[rows]]
    rows = rows[np.argsort(part, kind="stable")]
    part = np.sort(part)
    for edges in np.split(rows, np.flatnonzero(np.diff(part)) + 1):
        kept[edges] = _assign(t[edges], p[edges], iou[edges])
    return kept


def _assign(t: IntArray, p: IntArray, iou: FloatArray) -> BoolArray:
    """Solves one component of competing edges by the assignment problem."""
    if is_staircase(t, p):
        return match_staircase(t, p, iou)
    left, i = np.unique(t, return_inverse=True)
    right, j = np.unique(p, return_inverse=True)
    gain = np.zeros((len(left), len(right)))
    gain[i, j] = 1.0 + iou / (min(len(left), len(right)) + 1)
    chosen = np.zeros(gain.shape, dtype=np.bool_)
    chosen[linear_sum_assignment(gain, maximize=True)] = True
    picked: BoolArray = chosen[i, j]
    return picked


def _greedy(t: IntArray, p: IntArray, iou: FloatArray, pred: Spans, method: Method) -> BoolArray:
    """Takes edges in order of IoU, or of the prediction's score then IoU, while both ends are free."""
    keys = [p, t, -iou]
    if method == "greedy_score":
        if pred.score is None and len(pred):
            raise ValueError('pred: want spans with scores for method="greedy_score", got none')
        if pred.score is not None:
            keys.append(-pred.score[p])
    kept = np.zeros(len(t), dtype=np.bool_)
    used_true: set[int] = set()
    used_pred: set[int] = set()
    for e in np.lexsort(keys).tolist():
        a, b = int(t[e]), int(p[e])
        if a not in used_true and b not in used_pred:
            kept[e] = True
            used_true.add(a)
            used_pred.add(b)
    return kept
