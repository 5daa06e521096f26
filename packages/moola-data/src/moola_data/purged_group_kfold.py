"""K-fold cross-validation by groups, purged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from moola_data.intervals import Closed, Duration, Times
from moola_data.purged_splitter import PurgedSplitter
from moola_data.spans import Int


class PurgedGroupKFold(PurgedSplitter):
    """Tests every group once and never trains on a piece of a tested group, nor on what overlaps it in time.

    Groups (blocks of time, underlying windows) go to folds in the order of their first times, successive
    groups together, as nearly equal in number as can be.

    Args:
        n_splits: Number of folds, at least 2 and at most the number of groups.
        prediction_times: See `PurgedSplitter`.
        evaluation_times: The same.
        groups: Group of each sample; or give it to `split`, as scikit-learn does.
        purge_horizon: See `PurgedSplitter`, as for all that follow.
        embargo: The same.
        closed: The same.

    Raises:
        ValueError: Fewer than two folds; when split: no groups, or fewer groups than folds.
    """

    def __init__(
        self,
        n_splits: int,
        *,
        prediction_times: Times,
        evaluation_times: Times,
        groups: npt.ArrayLike | None = None,
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
        if n_splits < 2:
            raise ValueError(f"n_splits: want 2 or more folds, got {n_splits}")
        self.n_splits = n_splits
        self.groups = groups

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Returns the number of splits."""
        return self.n_splits

    def test_sets(self, groups: npt.ArrayLike | None = None) -> Iterator[Int]:
        """Yields the sample numbers of each fold of groups; those given here go before the constructor's."""
        chosen = self.groups if groups is None else groups
        if chosen is None:
            raise ValueError("groups: want one group a sample, got None")
        n = len(self.intervals.first)
        names, group = np.unique(np.asarray(chosen), return_inverse=True)
        if group.shape != (n,):
            raise ValueError(f"groups: want one group a sample, {n} in all, got shape {group.shape}")
        if len(names) < self.n_splits:
            raise ValueError(f"groups: want at least {self.n_splits} groups, got {len(names)}")
        begin = np.full(len(names), np.iinfo(np.int64).max)
        np.minimum.at(begin, group, self.intervals.first)
        for fold in np.array_split(np.argsort(begin, kind="stable"), self.n_splits):
            yield np.flatnonzero(np.isin(group, fold))
