"""What the purged splitters share: folds in time, purge and embargo, scikit-learn's protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sized

import numpy as np
import numpy.typing as npt

from moola_data.intervals import Closed, Duration, Intervals, Times, as_duration, as_intervals, touching
from moola_data.spans import Int

Fold = tuple[Int, Int]
"""Sample numbers of train and of test, ascending."""


class PurgedSplitter(ABC):
    """Splits samples of which each depends on an interval of time, so that train and test share none.

    A training sample goes whose interval touches that of any test sample, widened by `purge_horizon` on both
    sides and by `embargo` behind. Samples may stand in any order and may share times.

    Args:
        prediction_times: First time each sample depends on: whole numbers (bars) or times.
        evaluation_times: Last such time, of the same kind; see `moola_data.intervals.window_intervals`.
        purge_horizon: Margin before and behind every test sample: bars, or a time span.
        embargo: Further margin behind every test sample.
        closed: "both": the evaluation time belongs to the sample; "left": it does not.
    """

    def __init__(
        self,
        *,
        prediction_times: Times,
        evaluation_times: Times,
        purge_horizon: Duration = 0,
        embargo: Duration = 0,
        closed: Closed = "both",
    ) -> None:
        self.intervals = as_intervals(prediction_times, evaluation_times, closed=closed)
        self.purge_horizon = as_duration("purge_horizon", purge_horizon)
        self.embargo = as_duration("embargo", embargo)

    @abstractmethod
    def test_sets(self, groups: npt.ArrayLike | None = None) -> Iterator[Int]:
        """Yields the sample numbers of each test set."""

    @abstractmethod
    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Returns the number of splits."""

    def split(
        self, X: Sized | None = None, y: object = None, groups: npt.ArrayLike | None = None
    ) -> Iterator[Fold]:
        """Yields train and test as scikit-learn's splitters do.

        Args:
            X: The samples; only their number is looked at.
            y: Ignored.
            groups: Group of each sample, for the splitters that ask for it.

        Yields:
            Sample numbers of train and of test, ascending, i8.

        Raises:
            ValueError: `X` has another number of samples, or purging leaves nothing to train on.
        """
        n = len(self.intervals.first)
        found = n if X is None else int(X.shape[0]) if hasattr(X, "shape") else len(X)
        if found != n:
            raise ValueError(f"X: want {n} samples, one a prediction time, got {found}")
        for number, test in enumerate(self.test_sets(groups)):
            train = self.candidates(test)
            train = train[~self.leaking(train, test)]
            if not len(train):
                raise ValueError(
                    f"split: want at least 1 training sample, got 0 left after purging in split {number}"
                )
            yield train, test

    def candidates(self, test: Int) -> Int:
        """Gives the samples that may train, before purging: all that are not in `test`."""
        rest = np.ones(len(self.intervals.first), bool)
        rest[test] = False
        return np.flatnonzero(rest)

    def leaking(self, train: Int, test: Int) -> npt.NDArray[np.bool_]:
        """Tells which of the training samples come too near to a test sample."""
        first, last = self.intervals
        widened = Intervals(first[test] - self.purge_horizon, last[test] + self.purge_horizon + self.embargo)
        return touching(Intervals(first[train], last[train]), widened)


def earlier_samples(first: Int) -> Int:
    """Counts, for each sample, the samples that start strictly before it, i8 (n,)."""
    return np.searchsorted(np.sort(first), first, side="left").astype(np.int64)


def time_folds(first: Int, *, n_splits: int) -> Int:
    """Numbers folds of nearly equal size in the order of time; equal times share a fold.

    Args:
        first: Start of each sample, i8 (n,).
        n_splits: Number of folds.

    Returns:
        Fold of each sample, i8 (n,). With distinct times, the folds of scikit-learn's KFold.

    Raises:
        ValueError: There are fewer than two folds, or a fold is empty.
    """
    if n_splits < 2:
        raise ValueError(f"n_splits: want 2 or more folds, got {n_splits}")
    size, larger = divmod(len(first), n_splits)
    bound = np.cumsum(np.full(n_splits, size) + (np.arange(n_splits) < larger))
    fold = np.searchsorted(bound, earlier_samples(first), side="right").astype(np.int64)
    empty = np.flatnonzero(np.bincount(fold, minlength=n_splits) == 0)
    if empty.size:
        times = len(np.unique(first))
        raise ValueError(
            f"n_splits: want samples in each of {n_splits} folds, got none in fold {empty[0]}: there are "
            f"{len(first)} samples at {times} times"
        )
    return fold
