"""Scores of the type that a window's longest span has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, IntArray, matrix, same_shape
from moola_eval.score import Score, f_beta, mean, ratio


def type_accuracy(true: IntArray, probability: npt.NDArray[np.floating]) -> Score:
    """Share of typed windows whose most probable type (of equals the first) is the true one.

    Args:
        true: (n,) int64, true type; -1 leaves the window out.
        probability: (n, C) floats in [0, 1].

    Returns:
        The score; its count says how many windows were typed.

    >>> type_accuracy(np.array([0, 1, -1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])).value
    0.5
    """
    guess = most_probable(true, probability)
    known = true >= 0
    right = known & (guess == true)
    words = "share of typed windows whose most probable type is right"
    return mean("type_accuracy", words, right.astype(np.float64), known.astype(np.float64), unit="windows")


def type_confusion(true: IntArray, probability: npt.NDArray[np.floating]) -> FloatArray:
    """Counts typed windows by true (row) and most probable type (column), by window: (n, C, C) float64."""
    guess = most_probable(true, probability)
    n, classes = probability.shape
    table = np.zeros((n, classes, classes))
    known = np.flatnonzero(true >= 0)
    table[known, true[known], guess[known]] = 1.0
    return table


def type_macro_f1(
    true: IntArray, probability: npt.NDArray[np.floating], *, classes: tuple[int, ...] | None = None
) -> Score:
    """Unweighted mean of the types' F1.

    Args:
        true: (n,) int64, true type; -1 leaves the window out.
        probability: (n, C) floats in [0, 1].
        classes: Types of the mean, where one without any true or predicted window counts 0. None takes the
            types that occur among the true ones; a type missed entirely counts 0, it does not drop out.

    Returns:
        The score; its sums are the confusion matrix. NaN where no window is typed.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> type_macro_f1(np.array([0, 0, 1]), p).value
    0.4
    """
    table = type_confusion(true, probability)
    n, count, _ = table.shape
    bad = [c for c in classes or () if not 0 <= c < count]
    if bad:
        raise ValueError(f"classes: want types in 0..{count - 1}, got {bad[0]}")

    def formula(sums: FloatArray) -> FloatArray:
        square = sums.reshape(*sums.shape[:-1], count, count)
        hit = np.diagonal(square, axis1=-2, axis2=-1)
        n_true, n_pred = square.sum(axis=-1), square.sum(axis=-2)
        f1 = np.nan_to_num(f_beta(hit, n_pred, n_true), nan=0.0)
        if classes is not None:
            value = f1[..., list(classes)].mean(axis=-1)
            return np.asarray(np.where(square.sum(axis=(-2, -1)) > 0, value, np.nan))
        there = n_true > 0
        return ratio((f1 * there).sum(axis=-1), there.sum(axis=-1))

    which = "the types that occur in the truth" if classes is None else f"types {list(classes)}"
    return Score(
        name="type_macro_f1",
        definition=f"mean F1 over {which} of the most probable type of typed windows",
        sums=table.reshape(n, -1),
        columns=tuple(f"true{i}_pred{j}" for i in range(count) for j in range(count)),
        formula=formula,
    )


def most_probable(true: IntArray, probability: npt.NDArray[np.floating]) -> IntArray:
    """Returns the most probable type of each window, of equals the first, (n,) int64."""
    p = matrix("probability", probability, low=0.0, high=1.0)
    same_shape("true", true, p.shape[:1])
    bad = np.flatnonzero((true < -1) | (true >= p.shape[1]))
    if bad.size:
        raise ValueError(f"true: want types in -1..{p.shape[1] - 1}, got {true[bad[0]]} in row {bad[0]}")
    guess: IntArray = p.argmax(axis=1).astype(np.int64)
    return guess
