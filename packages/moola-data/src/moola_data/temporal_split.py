"""Walking forward in time: train on the past, test on what comes next, purged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from moola_data.intervals import Closed, Duration, Times
from moola_data.purged_splitter import PurgedSplitter, earlier_samples
from moola_data.spans import Int


class TemporalSplit(PurgedSplitter):
    """Tests `n_splits` successive stretches at the end of time, each trained on what ended before it.

    With distinct times and nothing to purge, the splits of scikit-learn's TimeSeriesSplit.

    Args:
        n_splits: Number of splits, at least 1.
        prediction_times: See `PurgedSplitter`.
        evaluation_times: The same.
        test_size: Samples a test; n // (n_splits + 1) unless given.
        train_size: Most samples to train on, the latest ones; all unless given.
        purge_horizon: Margin between the last training sample and the test.
        closed: See `PurgedSplitter`.

    Raises:
        ValueError: The tests would take all samples, or a number is out of range.
    """

    def __init__(
        self,
        n_splits: int,
        *,
        prediction_times: Times,
        evaluation_times: Times,
        test_size: int | None = None,
        train_size: int | None = None,
        purge_horizon: Duration = 0,
        closed: Closed = "both",
    ) -> None:
        super().__init__(
            prediction_times=prediction_times,
            evaluation_times=evaluation_times,
            purge_horizon=purge_horizon,
            closed=closed,
        )
        n = len(self.intervals.first)
        size = n // (n_splits + 1) if test_size is None else test_size
        if n_splits < 1 or size < 1 or n_splits * size >= n:
            raise ValueError(
                f"n_splits, test_size: want fewer than {n} samples to test, 1 or more at a time, "
                f"got {n_splits} x {size}"
            )
        if train_size is not None and train_size < 1:
            raise ValueError(f"train_size: want 1 or more samples, got {train_size}")
        self.n_splits = n_splits
        self.test_size = size
        self.train_size = train_size

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Returns the number of splits."""
        return self.n_splits

    def test_sets(self, groups: npt.ArrayLike | None = None) -> Iterator[Int]:
        """Yields the sample numbers of each test, from the earliest to the latest."""
        earlier = earlier_samples(self.intervals.first)
        begin = len(earlier) - self.n_splits * self.test_size
        for number in range(self.n_splits):
            test = np.flatnonzero((earlier >= begin) & (earlier < begin + self.test_size))
            if not len(test):
                raise ValueError(
                    f"test_size: want a larger one, as more samples share a time, got {self.test_size} "
                    f"and none in split {number}"
                )
            yield test
            begin += self.test_size

    def candidates(self, test: Int) -> Int:
        """Gives the samples that end before the test begins, the latest `train_size` of them."""
        first, last = self.intervals
        past = np.flatnonzero(last < first[test].min() - self.purge_horizon)
        if self.train_size is None or len(past) <= self.train_size:
            return past
        latest = np.argsort(first[past], kind="stable")[-self.train_size :]
        return np.sort(past[latest])
