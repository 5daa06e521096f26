"""Range-based precision and recall: how much of each span is covered, where, and in how many pieces."""

from __future__ import annotations

from typing import Literal

import numpy as np

from moola_eval._arguments import FloatArray, IntArray, fraction
from moola_eval.matching import Overlap, candidates
from moola_eval.score import Score, harmonic, ratio
from moola_eval.spans import Spans

Bias = Literal["flat", "front", "middle", "back"]
Cardinality = Literal["one", "reciprocal"]


def range_f1(
    true: Spans,
    pred: Spans,
    *,
    alpha: float = 0.0,
    bias: Bias = "flat",
    precision_bias: Bias | None = None,
    cardinality: Cardinality = "reciprocal",
    beta: float = 1.0,
) -> Score:
    """Range-based F (Tatbul et al. 2018, "Precision and recall for time series").

    A true span's recall is alpha x (touched at all) + (1 - alpha) x gamma(pieces) x covered share, where bars
    weigh by their place in the span; a prediction's precision is the same with the sides swapped and alpha 0.
    Both are averaged over all spans of all sequences. Labels are not looked at.

    Args:
        true: True spans; those of one sequence must not overlap, `Spans.merged` joins them.
        pred: Predicted spans, likewise.
        alpha: Weight of being touched at all, in recall.
        bias: Which bars of a true span weigh more: none, its first, its middle, its last.
        precision_bias: The same for predictions; None takes `bias`.
        cardinality: gamma is 1, or 1 / number of spans of the other side that touch it.
        beta: Weight of recall against precision.

    Returns:
        The score with parts "precision" and "recall".

    Raises:
        ValueError: Spans of one side overlap.
    """
    fraction("alpha", alpha, zero=True)
    for name, side in (("true", true), ("pred", pred)):
        again = side.sequence[1:] == side.sequence[:-1]
        bad = np.flatnonzero(again & (side.start[1:] <= side.end[:-1]))
        if bad.size:
            raise ValueError(
                f"{name}: want spans that do not overlap (see Spans.merged), got row {bad[0] + 1}"
            )
    t, p, _ = candidates(true, pred, criterion=Overlap(), labels="ignored")
    low, high = np.maximum(true.start[t], pred.start[p]), np.minimum(true.end[t], pred.end[p])
    n = len(true.lengths)
    recall = _reward(true, t, low, high, bias, cardinality, alpha)
    precision = _reward(pred, p, low, high, precision_bias or bias, cardinality, 0.0)
    columns = (
        np.bincount(true.sequence, weights=recall, minlength=n),
        true.per_sequence,
        np.bincount(pred.sequence, weights=precision, minlength=n),
        pred.per_sequence,
    )
    sides = bias if precision_bias in (None, bias) else f"{bias} (precision {precision_bias})"
    return Score(
        name="range_f1",
        definition=f"range-based F; alpha={alpha:g}; bias {sides}; {cardinality}; beta={beta:g}; pooled",
        sums=np.stack(columns, axis=1).astype(np.float64),
        columns=("covered", "n_true", "right", "n_pred"),
        formula=lambda s: harmonic(ratio(s[..., 2], s[..., 3]), ratio(s[..., 0], s[..., 1]), beta=beta),
        parts={
            "precision": lambda s: ratio(s[..., 2], s[..., 3]),
            "recall": lambda s: ratio(s[..., 0], s[..., 1]),
        },
    )


def _reward(
    side: Spans,
    row: IntArray,
    low: IntArray,
    high: IntArray,
    bias: Bias,
    cardinality: Cardinality,
    alpha: float,
) -> FloatArray:
    """Reward of each span of one side, (m,), from the pieces low..high of it that the other side covers."""
    m = len(side)
    size = side.size[row]
    first, last = low - side.start[row] + 1, high - side.start[row] + 1
    share = (_weight(last, size, bias) - _weight(first - 1, size, bias)) / _weight(size, size, bias)
    covered = np.bincount(row, weights=share, minlength=m)
    pieces = np.bincount(row, minlength=m)
    gamma = 1.0 / np.maximum(pieces, 1) if cardinality == "reciprocal" else np.ones(m)
    return alpha * (pieces > 0) + (1 - alpha) * gamma * covered


def _weight(place: IntArray, size: IntArray, bias: Bias) -> FloatArray:
    """Sum of the weights of the first `place` bars of a span; whole numbers, so exact."""
    if bias == "flat":
        return place.astype(np.float64)
    if bias == "back":
        return _triangle(place)
    if bias == "front":
        return _triangle(size) - _triangle(size - place)
    half = size // 2
    whole = _triangle(half) + _triangle(size - half)
    return np.where(place <= half, _triangle(place), whole - _triangle(size - place))


def _triangle(n: IntArray) -> FloatArray:
    return n * (n + 1) / 2.0
