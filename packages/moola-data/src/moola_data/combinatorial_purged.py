"""Combinatorial cross-validation in time, purged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from moola_data.intervals import Closed, Duration, Times
from moola_data.purged_splitter import PurgedSplitter, time_folds
from moola_data.spans import Int


class CombinatorialPurgedCV(PurgedSplitter):
    """Tests every choice of `n_test_groups` of `n_splits` successive stretches of time.

    Each stretch is tested C(n_splits - 1, n_test_groups - 1) times, so its predictions can be strung together
    into as many whole paths through time; `paths` says how. Source: M. López de Prado, Advances in Financial
    Machine Learning (2018), sections 12.3 and 12.4.

    Args:
        n_splits: Number of stretches, at least 2.
        n_test_groups: Stretches tested at once, 1 to n_splits - 1.
        prediction_times: See `PurgedSplitter`, as for all that follow.
        evaluation_times: The same.
        purge_horizon: The same.
        embargo: The same.
        closed: The same.

    Raises:
        ValueError: A number is out of range, or a stretch has no sample.
    """

    def __init__(
        self,
        n_splits: int,
        n_test_groups: int,
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
        if not 1 <= n_test_groups < n_splits:
            raise ValueError(f"n_test_groups: want 1..{n_splits - 1}, got {n_test_groups}")
        self.n_splits = n_splits
        self.n_test_groups = n_test_groups
        self.folds = time_folds(self.intervals.first, n_splits=n_splits)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Returns the number of splits, C(n_splits, n_test_groups)."""
        return comb(self.n_splits, self.n_test_groups)

    def test_sets(self, groups: npt.ArrayLike | None = None) -> Iterator[Int]:
        """Yields the sample numbers of each choice of stretches."""
        for chosen in self._choices():
            yield np.flatnonzero(np.isin(self.folds, chosen))

    def paths(self) -> Int:
        """Says which split to take each stretch's predictions from, for every path through all of time.

        Returns:
            Split number by path and stretch, i8 (C(n_splits - 1, n_test_groups - 1), n_splits). Every
            (split, tested stretch) stands in exactly one path.
        """
        tested: list[list[int]] = [[] for _ in range(self.n_splits)]
        for split, chosen in enumerate(self._choices()):
            for stretch in chosen:
                tested[stretch].append(split)
        return np.array(tested, np.int64).T

    def _choices(self) -> list[tuple[int, ...]]:
        return list(combinations(range(self.n_splits), self.n_test_groups))
