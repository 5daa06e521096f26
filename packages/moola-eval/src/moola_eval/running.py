"""A metric that is fed batch by batch and whose whole state is one row of sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic, ParamSpec

import numpy as np

from moola_eval._arguments import FloatArray
from moola_eval.score import Score

P = ParamSpec("P")


class Running(Generic[P]):
    """Adds up a score over batches; processes that add up their `sums` get the score of the whole.

    The mean of the F1 of batches is not the F1 of the whole: sums are. Only metrics that are sums fit here; a
    ranking is none.

    Args:
        metric: A function that scores one batch, such as `bar_f1` with its settings bound.

    >>> from functools import partial
    >>> from moola_eval.bars import bar_f1
    >>> running = Running(partial(bar_f1, average="micro"))
    >>> true, pred = np.array([[True, False]]), np.array([[True, True]])
    >>> running.update(true, pred)
    >>> running.update(pred, pred)
    >>> running.compute().value == bar_f1(np.vstack([true, pred]), np.vstack([pred, pred])).value
    True
    """

    def __init__(self, metric: Callable[P, Score]) -> None:
        self.metric = metric
        self._score: Score | None = None

    def update(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Scores a batch and adds it."""
        score = self.metric(*args, **kwargs)
        self._add(replace(score, sums=score.sums.sum(axis=0, keepdims=True)))

    @property
    def sums(self) -> FloatArray:
        """The state, (S,) float64; the zero state is empty until the first batch."""
        return np.zeros(0) if self._score is None else self._score.sums[0]

    def merge(self, other: Running[P]) -> None:
        """Adds what another one has seen."""
        if other._score is not None:
            self._add(other._score)

    def compute(self) -> Score:
        """Returns the score of everything seen; it has one row, so no interval.

        Raises:
            ValueError: Nothing was seen yet.
        """
        if self._score is None:
            raise ValueError("compute: want at least one update, got none")
        return self._score

    def reset(self) -> None:
        """Forgets everything."""
        self._score = None

    def _add(self, score: Score) -> None:
        if self._score is None:
            self._score = score
        else:
            joined = self._score + score
            self._score = replace(joined, sums=joined.sums.sum(axis=0, keepdims=True))
