"""How much of a sample is its own: weights for samples that overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.intervals import Times, as_intervals


def mean_uniqueness(prediction_times: Times, evaluation_times: Times) -> npt.NDArray[np.float64]:
    """Averages 1 / (number of samples that hold a time) over the times of each sample.

    A sample that overlaps none has 1; one of k copies has 1/k. The sum is an effective number of samples.
    Two cumulative sums over the times: linear in samples and times. Source: M. López de Prado, Advances in
    Financial Machine Learning (2018), section 4.4.

    Args:
        prediction_times: First bar of each sample, whole numbers, (n,).
        evaluation_times: Last bar, inclusive, (n,).

    Returns:
        Weights in (0, 1], f8 (n,).

    Raises:
        ValueError: The times are not whole numbers, or an interval ends before it starts.

    >>> mean_uniqueness([0, 2], [3, 5]).tolist()
    [0.75, 0.75]
    """
    if np.asarray(prediction_times).dtype.kind not in "iu":
        kind = np.asarray(prediction_times).dtype
        raise ValueError(f"prediction_times: want whole numbers, got {kind}")
    first, last = as_intervals(prediction_times, evaluation_times)
    if not len(first):
        return np.empty(0)
    origin = first.min()
    first, after = first - origin, last - origin + 1
    size = int(after.max())
    begun = np.bincount(first, minlength=size + 1)
    ended = np.bincount(after, minlength=size + 1)
    holders = np.cumsum(begun - ended)[:size]
    share = np.concatenate([[0.0], np.cumsum(np.where(holders > 0, 1 / np.maximum(holders, 1), 0.0))])
    weight: npt.NDArray[np.float64] = (share[after] - share[first]) / (after - first)
    return weight
