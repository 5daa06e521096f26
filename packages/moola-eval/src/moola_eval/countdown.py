"""Error of the predicted number of bars to the nearest start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, matrix, same_shape
from moola_eval.score import Score, mean


def countdown_error(
    true: FloatArray, pred: npt.NDArray[np.floating], *, clip: float | None = 20.0, clip_pred: bool = True
) -> Score:
    """Mean absolute error in bars over all bars that have a countdown.

    Args:
        true: (n, K) float64, bars to the nearest start, negative after it; NaN leaves the bar out.
        pred: (n, K) floats in the same unit.
        clip: Values are cut to -clip..clip: farther away only "far" is asked. None keeps them.
        clip_pred: Whether predictions are cut as well.

    Returns:
        The score, lower is better; the count says how many bars had a countdown.

    >>> countdown_error(np.array([[3.0, 50.0]]), np.array([[2.0, 30.0]])).value
    0.5
    """
    guess = matrix("pred", pred).astype(np.float64)
    same_shape("pred", guess, true.shape)
    if clip is not None and not clip > 0:
        raise ValueError(f"clip: want a number above 0, got {clip}")
    known = ~np.isnan(true)
    target = np.where(known, true, 0.0)
    words = "mean |error| in bars of bars with a countdown"
    if clip is not None:
        target = np.clip(target, -clip, clip)
        if clip_pred:
            guess = np.clip(guess, -clip, clip)
        words += f"; {'both' if clip_pred else 'the target'} cut to +-{clip:g}"
    miss = np.where(known, np.abs(guess - target), 0.0).sum(axis=1)
    count = known.sum(axis=1).astype(np.float64)
    return mean("countdown_mae", words, miss, count, unit="bars", higher_is_better=False, best=0.0)
