"""The random split that leaks: kept so that what was measured with it can be measured again."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sized

import numpy as np

from moola_data.intervals import Closed, Times, as_intervals
from moola_data.purged_splitter import Fold
from moola_data.split_audit import audit_split


class LeakWarning(UserWarning):
    """Train and test share bars."""


class LeakyRandomSplit:
    """Draws test samples at random, whatever they share with the training samples, and says how much that is.

    Overlapping windows, windows of one label and shifted copies fall on both sides, so a score on such a test
    mostly measures memory. Do not choose or report by it. The draw is that of scikit-learn's
    ``train_test_split(test_size=..., random_state=seed)``, row for row.

    Args:
        prediction_times: First time each sample depends on, to count the leaks by.
        evaluation_times: Last such time.
        test_size: Share of the samples to test, rounded up.
        seed: Seed of the draw.
        closed: See `moola_data.purged_splitter.PurgedSplitter`.

    Raises:
        ValueError: `test_size` is not between 0 and 1, or leaves a side empty.
    """

    def __init__(
        self,
        *,
        prediction_times: Times,
        evaluation_times: Times,
        test_size: float = 0.2,
        seed: int = 42,
        closed: Closed = "both",
    ) -> None:
        self.intervals = as_intervals(prediction_times, evaluation_times, closed=closed)
        self.tested = math.ceil(test_size * len(self.intervals.first))
        self.seed = seed
        if not 0 < test_size < 1 or not 0 < self.tested < len(self.intervals.first):
            n = len(self.intervals.first)
            raise ValueError(
                f"test_size: want a share in 0..1 that leaves both sides, got {test_size} of {n}"
            )

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Returns 1."""
        return 1

    def split(self, X: Sized | None = None, y: object = None, groups: object = None) -> Iterator[Fold]:
        """Yields the one split, in the order of the draw, after a warning that counts the leaks.

        Args:
            X: Ignored, as are the others.
            y: Ignored.
            groups: Ignored.

        Yields:
            Sample numbers of train and of test.
        """
        # The legacy generator on purpose: scikit-learn draws by it, and the rows are to be the same.
        drawn = np.random.RandomState(self.seed).permutation(len(self.intervals.first))
        train, test = drawn[self.tested :], drawn[: self.tested]
        audit = audit_split(
            train, test, prediction_times=self.intervals.first, evaluation_times=self.intervals.last
        )
        if len(audit.test_leaked):
            warnings.warn(
                f"{len(audit.test_leaked)} of {len(test)} test samples share time with training samples "
                f"({len(audit.train_leaked)} of {len(train)}): this split leaks",
                LeakWarning,
                stacklevel=2,
            )
        yield train, test
