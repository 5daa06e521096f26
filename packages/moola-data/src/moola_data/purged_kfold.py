"""K-fold cross-validation in time, purged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from moola_data.intervals import Closed, Duration, Times
from moola_data.purged_splitter import PurgedSplitter, time_folds
from moola_data.spans import Int


class PurgedKFold(PurgedSplitter):
    """Tests each of `n_splits` successive stretches of time once; trains on all that shares nothing with it.

    Source: M. López de Prado, Advances in Financial Machine Learning (2018), section 7.4; unlike there, every
    test sample's interval is purged, not only that from the first to the last prediction time.

    Args:
        n_splits: Number of folds, at least 2.
        prediction_times: See `PurgedSplitter`, as for all that follow.
        evaluation_times: The same.
        purge_horizon: The same.
        embargo: The same.
        closed: The same.

    Raises:
        ValueError: Fewer than two folds, or an empty one.

    >>> folds = PurgedKFold(3, prediction_times=[0, 2, 4, 6, 8, 10], evaluation_times=[2, 4, 6, 8, 10, 12])
    >>> [(train.tolist(), test.tolist()) for train, test in folds.split()]
    [([3, 4, 5], [0, 1]), ([0, 5], [2, 3]), ([0, 1, 2], [4, 5])]
    """

    def __init__(
        self,
        n_splits: int,
        *,
        prediction_times: Times,
        evaluation_times: Times,
        purge_horizon: Duration = 0,
        embargo: Duration = 0,
        closed: Closed = "both",
    ) -> None:
        super().__init__(
            prediction_times=prediction_times,
            evaluation_times=evaluation_times,
            purge_horizon=purge_horizon,
            embargo=embargo,
            closed=closed,
        )
        self.n_splits = n_splits
        self.folds = time_folds(self.intervals.first, n_splits=n_splits)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Returns the number of splits."""
        return self.n_splits

    def test_sets(self, groups: npt.ArrayLike | None = None) -> Iterator[Int]:
        """Yields the sample numbers of each fold."""
        for fold in range(self.n_splits):
            yield np.flatnonzero(self.folds == fold)
