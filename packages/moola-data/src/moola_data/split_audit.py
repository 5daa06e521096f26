"""Finds what train and test share, in any split by whomever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.intervals import Closed, Intervals, Times, as_intervals, merged, touching
from moola_data.spans import Int


class SplitAudit(NamedTuple):
    """What the two sides of a split share; all three are empty for a clean one."""

    shared: Intervals
    """Every time that both sides depend on, as disjoint intervals, ascending, both ends inclusive."""
    train_leaked: Int
    """Training samples that share time with a test sample, ascending."""
    test_leaked: Int
    """Test samples that share time with a training sample, ascending."""

    def shared_bars(self) -> Int:
        """Lists every shared bar, ascending; for intervals of bar numbers, not of times.

        Returns:
            Bar numbers, i8.
        """
        first, last = self.shared
        size = last - first + 1
        skipped = np.repeat(np.cumsum(size) - size, size)
        bars: Int = np.repeat(first, size) + np.arange(len(skipped)) - skipped
        return bars


def audit_split(
    train: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    prediction_times: Times,
    evaluation_times: Times,
    closed: Closed = "both",
) -> SplitAudit:
    """Lists what train and test share.

    Args:
        train: Sample numbers of train.
        test: Sample numbers of test.
        prediction_times: First time each sample of the whole set depends on: bar numbers or times.
        evaluation_times: Last such time.
        closed: "both": the evaluation time belongs to the sample; "left": it does not.

    Returns:
        The shared times and the samples on either side that hold them.

    Raises:
        ValueError: A sample number is out of range, or the times do not fit together.

    >>> audit = audit_split([0, 2], [1], prediction_times=[0, 3, 9], evaluation_times=[4, 7, 13])
    >>> audit.shared_bars().tolist(), audit.train_leaked.tolist(), audit.test_leaked.tolist()
    ([3, 4], [0], [1])
    """
    intervals = as_intervals(prediction_times, evaluation_times, closed=closed)
    sides = []
    for name, given in (("train", train), ("test", test)):
        index = np.asarray(given, np.int64)
        bad = np.flatnonzero((index < 0) | (index >= len(intervals.first)))
        if bad.size:
            wanted = f"0..{len(intervals.first) - 1}"
            raise ValueError(f"{name}: want sample numbers in {wanted}, got {index[bad[0]]} in row {bad[0]}")
        sides.append(np.unique(index))
    left, right = (Intervals(intervals.first[s], intervals.last[s]) for s in sides)
    return SplitAudit(
        shared=_common(merged(left), merged(right)),
        train_leaked=sides[0][touching(left, right)],
        test_leaked=sides[1][touching(right, left)],
    )


def audit_splits(
    splits: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    prediction_times: Times,
    evaluation_times: Times,
    closed: Closed = "both",
) -> pd.DataFrame:
    """Audits all splits of a splitter: ``audit_splits(splitter.split(X), ...)``.

    Args:
        splits: Pairs of sample numbers of train and test.
        prediction_times: As `audit_split`.
        evaluation_times: As `audit_split`.
        closed: As `audit_split`.

    Returns:
        One row a split: `train`, `test` (samples), `train_leaked`, `test_leaked` (samples), `shared` (bars,
        or nanoseconds if the intervals are of times).
    """
    rows = []
    for train, test in splits:
        audit = audit_split(
            train, test, prediction_times=prediction_times, evaluation_times=evaluation_times, closed=closed
        )
        rows.append(
            {
                "train": len(np.asarray(train)),
                "test": len(np.asarray(test)),
                "train_leaked": len(audit.train_leaked),
                "test_leaked": len(audit.test_leaked),
                "shared": int((audit.shared.last - audit.shared.first + 1).sum()),
            }
        )
    return pd.DataFrame(rows, columns=["train", "test", "train_leaked", "test_leaked", "shared"])


def _common(a: Intervals, b: Intervals) -> Intervals:
    """Intersects two sets of disjoint intervals."""
    low = np.searchsorted(b.last, a.first, side="left")
    high = np.searchsorted(b.first, a.last, side="right")
    count = np.maximum(high - low, 0)
    mine = np.repeat(np.arange(len(a.first)), count)
    theirs = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    return Intervals(np.maximum(a.first[mine], b.first[theirs]), np.minimum(a.last[mine], b.last[theirs]))
