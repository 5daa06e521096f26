"""The correction of bootstrap tails for bias and skewness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from moola_eval._arguments import FloatArray


def bca_tails(
    value: float, left_out: FloatArray, drawn: FloatArray, tails: Sequence[float]
) -> tuple[float, ...]:
    """Moves tail probabilities by bias and acceleration (BCa).

    Efron 1987, "Better bootstrap confidence intervals". With z0 the normal quantile of the share of resamples
    below the value, and a the skewness of the values with one cluster left out over 6, a tail t becomes
    Phi(z0 + (z0 + z_t) / (1 - a (z0 + z_t))).

    Args:
        value: The metric on all clusters.
        left_out: (G,) float64, the metric with each cluster left out.
        drawn: (B,) float64, resampled values, all defined.
        tails: Probabilities in (0, 1).

    Returns:
        The moved tails. They do not move where all resamples lie on one side of the value, or where leaving
        one cluster out changes nothing or leaves the metric undefined.
    """
    # Ties count half: a metric of few spans takes few values.
    below = float(np.mean(drawn < value) + np.mean(drawn == value) / 2)
    away = left_out.mean() - left_out
    spread = float(np.sum(away**2))
    if not 0 < below < 1 or np.isnan(spread) or spread == 0:
        return tuple(tails)
    skewness = float(np.sum(away**3)) / (6 * spread**1.5)
    bias = float(ndtri(below))
    shifted = bias + ndtri(np.asarray(tails))
    moved = ndtr(bias + shifted / (1 - skewness * shifted))
    return tuple(float(t) for t in moved)
