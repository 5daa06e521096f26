"""Affiliation precision and recall: how near, compared with a random place, in closed form."""

from __future__ import annotations

import numpy as np

from moola_eval._arguments import FloatArray, IntArray
from moola_eval.score import Score, harmonic, ratio
from moola_eval.spans import Spans, index_ranges


def affiliation(true: Spans, pred: Spans) -> Score:
    """Affiliation F (Huet et al. 2022, "Local evaluation of time series anomaly detection algorithms").

    Each true span has the zone of points nearer to it than to another. Precision is the mean over zones with
    predictions of the chance that a uniformly random point of the zone is at least as far from the span as a
    predicted point; recall the mean over zones of the chance that a random point is at least as far from a
    true point as the nearest prediction, 0 without predictions. Bars are unit intervals of a line.

    The score depends on the length of the window and is high for anything nearby: part "random" is what
    marking every bar scores on the same truth, and belongs beside it. Sequences without a true span have no
    zone; their predictions are counted and not judged.

    Args:
        true: True spans; those of one sequence must not overlap.
        pred: Predicted spans; overlapping ones are merged.

    Returns:
        The score with parts "precision", "recall", "random".

    Raises:
        ValueError: True spans overlap.
    """
    again = true.sequence[1:] == true.sequence[:-1]
    bad = np.flatnonzero(again & (true.start[1:] <= true.end[:-1]))
    if bad.size:
        raise ValueError(
            f"true: want spans that do not overlap (see Spans.merged), got one in row {bad[0] + 1}"
        )
    a: FloatArray = true.start.astype(np.float64)
    b: FloatArray = (true.end + 1).astype(np.float64)
    left, right = _zones(true, a, b)
    runs = pred.merged()
    j, low, high = _pieces(runs, true, left, right)
    size: FloatArray = right - left
    precision = _precision(j, low, high, a, b, left, right)
    recall = _recall(j, low, high, a, b, left, right)
    n, m = len(true.lengths), len(true)
    there = np.bincount(j, minlength=m) > 0
    inside = (b - a) / size
    # A random point of the zone: inside it beats no one, outside it beats half of the others.
    everywhere = inside + (1 - inside) * _outside(a, b, left, right)
    orphans = np.where(np.bincount(true.sequence, minlength=n) == 0, pred.per_sequence, 0)
    columns = [
        np.bincount(true.sequence, weights=w, minlength=n)
        for w in (precision, there * 1.0, recall, everywhere)
    ]
    return Score(
        name="affiliation_f1",
        definition="affiliation F, mean over zones of all true spans; read beside its part random",
        sums=np.stack([*columns, true.per_sequence, orphans], axis=1).astype(np.float64),
        columns=("precision", "n_zones_predicted", "recall", "random", "n_zones", "n_pred_not_judged"),
        formula=lambda s: harmonic(ratio(s[..., 0], s[..., 1]), ratio(s[..., 2], s[..., 4])),
        parts={
            "precision": lambda s: ratio(s[..., 0], s[..., 1]),
            "recall": lambda s: ratio(s[..., 2], s[..., 4]),
            "random": lambda s: harmonic(ratio(s[..., 3], s[..., 4]), ratio(s[..., 4], s[..., 4])),
        },
    )


def _zones(true: Spans, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Left and right border of each true span's zone: half way to a neighbour, else the sequence's."""
    left, right = np.zeros(len(true)), true.lengths[true.sequence].astype(np.float64)
    again = np.flatnonzero(true.sequence[1:] == true.sequence[:-1])
    middle = (b[again] + a[again + 1]) / 2
    right[again], left[again + 1] = middle, middle
    return left, right


def _pieces(
    runs: Spans, true: Spans, left: FloatArray, right: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Parts of predictions by zone, in order: zone, beginning, end."""
    begin = (np.cumsum(true.lengths) - true.lengths).astype(np.float64)
    start, end = begin[runs.sequence] + runs.start, begin[runs.sequence] + runs.end + 1
    zone_left, zone_right = begin[true.sequence] + left, begin[true.sequence] + right
    first = np.searchsorted(end, zone_left, "right")
    count = np.maximum(np.searchsorted(start, zone_right, "left") - first, 0)
    which = index_ranges(first, count)
    j = np.repeat(np.arange(len(true)), count)
    low = np.maximum(start[which] - begin[true.sequence][j], left[j])
    high = np.minimum(end[which] - begin[true.sequence][j], right[j])
    real = high > low
    return j[real], low[real], high[real]


def _precision(
    j: IntArray,
    low: FloatArray,
    high: FloatArray,
    a: FloatArray,
    b: FloatArray,
    left: FloatArray,
    right: FloatArray,
) -> FloatArray:
    """Mean chance over the predicted points of each zone; 0 without."""
    before, after = a[j] - left[j], right[j] - b[j]

    def beaten(distance: FloatArray) -> FloatArray:
        """Integral from 0 to the distance of the length of zone that lies at least so far away."""
        return _fill(distance, before) + _fill(distance, after)

    to_left = beaten(np.maximum(a[j] - low, 0)) - beaten(np.maximum(a[j] - high, 0))
    to_right = beaten(np.maximum(high - b[j], 0)) - beaten(np.maximum(low - b[j], 0))
    inside = np.maximum(np.minimum(high, b[j]) - np.maximum(low, a[j]), 0)
    chance = inside + (to_left + to_right) / (right[j] - left[j])
    m = len(a)
    got = np.bincount(j, weights=chance, minlength=m).astype(np.float64)
    return np.nan_to_num(
        ratio(got, np.bincount(j, weights=high - low, minlength=m).astype(np.float64)), nan=0.0
    )


def _outside(a: FloatArray, b: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Mean over the zone outside the span of the share of it at least as far; 0 if none is outside."""
    before, after = a - left, right - b
    area = sum(_fill(d, before) + _fill(d, after) for d in (before, after))
    return np.nan_to_num(ratio(np.asarray(area), (before + after) * (right - left)), nan=0.0)


def _fill(distance: FloatArray, length: FloatArray) -> FloatArray:
    """Integral of max(0, length - u) for u from 0 to the distance."""
    reach = np.minimum(distance, length)
    return reach * (length - reach / 2)


def _recall(
    j: IntArray,
    low: FloatArray,
    high: FloatArray,
    a: FloatArray,
    b: FloatArray,
    left: FloatArray,
    right: FloatArray,
) -> FloatArray:
    """Mean chance over the points of each true span; 0 without predictions."""
    m = len(a)
    same = j[1:] == j[:-1]
    border = (high[:-1] + low[1:]) / 2
    # Each piece serves the true points that are nearest to it.
    from_ = np.where(np.append(False, same), np.append(0.0, border), -np.inf)[: len(j)]
    until = np.where(np.append(same, False), np.append(border, 0.0), np.inf)[: len(j)]
    from_, until = np.maximum(from_, a[j]), np.minimum(until, b[j])
    inside = np.maximum(np.minimum(high, until) - np.maximum(low, from_), 0)
    after = _aside(np.maximum(from_, high), until, high, left[j], right[j])
    # The mirror image of the points before the piece.
    before = _aside(np.maximum(-until, -low), -from_, -low, -right[j], -left[j])
    chance = inside + (after + before) / (right[j] - left[j])
    return np.asarray(np.bincount(j, weights=chance, minlength=m) / (b - a))


def _aside(
    begin: FloatArray, end: FloatArray, near: FloatArray, left: FloatArray, right: FloatArray
) -> FloatArray:
    """Integral over y from begin to end, past the predicted point `near`, of the zone at least y - near away.

    On the near side that is near - left, the same for all y; on the far side right - (2 y - near) while
    positive.
    """
    end = np.maximum(end, begin)
    stop = np.clip((right + near) / 2, begin, end)
    return (near - left) * (end - begin) + (right + near) * (stop - begin) - (stop**2 - begin**2)
