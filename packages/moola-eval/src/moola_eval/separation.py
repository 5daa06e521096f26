"""How far apart the probabilities inside and outside the true spans lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, matrix, same_shape
from moola_eval.score import Score, ratio


def separation(probability: npt.NDArray[np.floating], true: BoolArray) -> Score:
    """Mean probability inside true spans minus mean probability outside, pooled over bars.

    Args:
        probability: (n, K) floats in [0, 1].
        true: (n, K) bool, bars inside a true span.

    Returns:
        The score; NaN where no bar is inside, or none outside.

    >>> p = np.array([[0.9, 0.7, 0.1, 0.3]])
    >>> round(separation(p, np.array([[True, True, False, False]])).value, 6)
    0.6
    """
    p = matrix("probability", probability, low=0.0, high=1.0).astype(np.float64, copy=False)
    same_shape("true", true, p.shape)
    inside, outside = np.where(true, p, 0.0).sum(axis=1), np.where(true, 0.0, p).sum(axis=1)
    n_in = np.count_nonzero(true, axis=1)
    return Score(
        name="separation",
        definition="mean probability of bars inside true spans - mean outside, pooled",
        sums=np.stack([inside, n_in, outside, true.shape[1] - n_in], axis=1).astype(np.float64),
        columns=("p_inside", "n_inside", "p_outside", "n_outside"),
        formula=lambda s: ratio(s[..., 0], s[..., 1]) - ratio(s[..., 2], s[..., 3]),
        parts={
            "inside": lambda s: ratio(s[..., 0], s[..., 1]),
            "outside": lambda s: ratio(s[..., 2], s[..., 3]),
        },
    )
