"""F1 over bars, pooled or averaged over windows, with a stated rule for windows that hold nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, same_shape
from moola_eval.score import Score, f_beta, f_score, mean

Average = Literal["micro", "window"]
Empty = Literal["skip", "one", "zero"]


def bar_f1(
    true: BoolArray,
    pred: BoolArray,
    *,
    average: Average = "micro",
    empty: Empty | None = None,
    beta: float = 1.0,
    valid: BoolArray | None = None,
) -> Score:
    """Scores the marked bars.

    Args:
        true: (n, K) bool, bars inside a true span.
        pred: (n, K) bool, bars marked.
        average: "micro" pools all bars; "window" takes each window's F and then the mean.
        empty: With ``average="window"``, and needed there: what a window counts in which neither side marks
            a bar: nothing, 1, or 0.
        beta: Weight of recall against precision.
        valid: (n, K) bool, bars that count; None means all.

    Returns:
        The score with parts "precision" and "recall" (micro only).

    Raises:
        ValueError: Shapes differ, or `empty` is missing or superfluous.

    >>> truth = np.zeros((1, 105), bool); truth[0, 40:61] = True
    >>> guess = np.zeros((1, 105), bool); guess[0, 38:63] = True
    >>> score = bar_f1(truth, guess)
    >>> round(score.value, 3), score["precision"], score["recall"]
    (0.913, 0.84, 1.0)
    """
    tp, n_pred, n_true = bar_counts(true, pred, valid=valid)
    if average == "micro":
        if empty is not None:
            raise ValueError(f'empty: want None with average="micro", got {empty!r}')
        return f_score("bar_f1", "F1 of bars, pooled", tp=tp, n_pred=n_pred, n_true=n_true, beta=beta)
    if empty is None:
        raise ValueError('empty: want "skip", "one" or "zero" with average="window", got None')
    return _by_window(tp, n_pred, n_true, empty, beta)


def bar_counts(
    true: npt.NDArray[np.bool_], pred: npt.NDArray[np.bool_], *, valid: BoolArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns common, predicted and true bars of each window, each (n,) float64."""
    for name, mask in (("true", true), ("pred", pred), ("valid", valid)):
        if mask is not None and mask.dtype != np.bool_:
            raise ValueError(f"{name}: want bool, got {mask.dtype}")
    if true.ndim != 2:
        raise ValueError(f"true: want shape (n, K), got {true.shape}")
    same_shape("pred", pred, true.shape)
    if valid is not None:
        same_shape("valid", valid, true.shape)
        true, pred = true & valid, pred & valid
    return (
        np.count_nonzero(true & pred, axis=1).astype(np.float64),
        np.count_nonzero(pred, axis=1).astype(np.float64),
        np.count_nonzero(true, axis=1).astype(np.float64),
    )


def _by_window(tp: FloatArray, n_pred: FloatArray, n_true: FloatArray, empty: Empty, beta: float) -> Score:
    value = f_beta(tp, n_pred, n_true, beta=beta)
    nothing = np.isnan(value)
    value = np.where(nothing, 1.0 if empty == "one" else 0.0, value)
    counted = ~nothing if empty == "skip" else np.ones_like(nothing)
    words = {"skip": "skipped", "one": "count 1", "zero": "count 0"}[empty]
    definition = f"mean over windows of each window's F1 of bars; empty windows {words}"
    if beta != 1:
        definition += f"; beta={beta:g}"
    return mean("bar_f1_window", definition, value * counted, counted.astype(np.float64), unit="windows")
