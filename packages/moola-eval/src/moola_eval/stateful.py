"""Metrics of marked windows that are fed batch by batch, with a state of fixed size that is a plain sum.

A metric here is a small frozen object that scores one batch of windows: true bars (n, K) and predicted
values (n, K). `Stateful` adds batches up; the adapters for torchmetrics and scikit-learn score with the same
objects, so all of them give the same numbers. Truth given as a mask holds touching spans as one: where that
matters, feed `Spans` to `moola_eval.running.Running`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, same_shape
from moola_eval.bars import bar_f1
from moola_eval.calibration import brier, expected_calibration_error
from moola_eval.decoding import PLAIN, Decoder, decode
from moola_eval.detection import span_f1
from moola_eval.matching import HALF, Criterion
from moola_eval.score import Score
from moola_eval.segments import segment_f1
from moola_eval.separation import separation
from moola_eval.spans import Spans

Values = npt.NDArray[np.floating] | BoolArray


class WindowMetric(Protocol):
    """Scores one batch of windows."""

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores true bars (n, K) against values (n, K): probabilities, or bool where bars are decided."""
        ...


@dataclass(frozen=True, slots=True)
class BarF1:
    """`bar_f1`, micro; floats are marked at the threshold (inclusive)."""

    threshold: float = 0.5
    beta: float = 1.0

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores one batch."""
        return bar_f1(true, marked(values, self.threshold), beta=self.beta)


@dataclass(frozen=True, slots=True)
class SpanF1:
    """`span_f1`; floats are decoded at the threshold, runs of True are spans."""

    threshold: float = 0.5
    criterion: Criterion = HALF
    decoder: Decoder = PLAIN
    beta: float = 1.0

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores one batch."""
        if values.dtype == np.bool_:
            pred = Spans.from_mask(np.asarray(values, dtype=np.bool_))
        else:
            pred = decode(
                np.asarray(values, dtype=values.dtype), threshold=self.threshold, decoder=self.decoder
            )
        same_shape("values", values, true.shape)
        return span_f1(Spans.from_mask(true), pred, criterion=self.criterion, beta=self.beta)


@dataclass(frozen=True, slots=True)
class SegmentF1:
    """`segment_f1` of cells of `size` bars."""

    size: int
    threshold: float = 0.5

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores one batch."""
        return segment_f1(true, marked(values, self.threshold), size=self.size)


@dataclass(frozen=True, slots=True)
class Separation:
    """`separation` of probabilities."""

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores one batch."""
        return separation(_probabilities(values), true)


@dataclass(frozen=True, slots=True)
class Brier:
    """`brier` of the bars' probabilities."""

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores one batch."""
        return brier(_probabilities(values), true)


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """`expected_calibration_error` of the bars' probabilities."""

    bins: int = 15

    def __call__(self, true: BoolArray, values: Values) -> Score:
        """Scores one batch."""
        return expected_calibration_error(_probabilities(values), true, bins=self.bins)


class Stateful:
    """Adds up a metric over batches, in one process or in many.

    The state is one row of sums and is there from the start: a process that saw no window holds zeros and can
    take part in an all-reduce. Counts are whole numbers, so any split of the data gives bit for bit the same
    result; sums of probabilities agree up to the rounding of an addition.

    Args:
        metric: What scores one batch.

    >>> whole, one, two = (Stateful(BarF1()) for _ in range(3))
    >>> true = np.array([[True, False], [True, True]])
    >>> values = np.array([[0.9, 0.8], [0.5, 0.1]])
    >>> whole.update(true, values)
    >>> one.update(true[:1], values[:1])
    >>> two.update(true[1:], values[1:])
    >>> one.merge(two)
    >>> one.compute().value == whole.compute().value == bar_f1(true, values >= 0.5).value
    True
    """

    def __init__(self, metric: WindowMetric) -> None:
        self.metric = metric
        nothing = metric(np.zeros((0, 1), dtype=np.bool_), np.zeros((0, 1)))
        self._score = replace(nothing, sums=np.zeros((1, len(nothing.columns))))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the sums."""
        return self._score.columns

    @property
    def sums(self) -> FloatArray:
        """The state, (S,) float64: add it up over processes, and `load` the total."""
        return np.array(self._score.sums[0])

    def update(self, true: BoolArray, values: Values) -> None:
        """Scores a batch of windows and adds it.

        Args:
            true: (n, K) bool, bars inside a true span.
            values: (n, K) floats, or bool where bars are decided already.
        """
        self._add(self.metric(true, values))

    def merge(self, other: Stateful) -> None:
        """Adds what another one has seen; its metric must be equal.

        Raises:
            ValueError: It computes something else.
        """
        if other.metric != self.metric:
            raise ValueError(f"other: want the metric {self.metric}, got {other.metric}")
        self._add(other._score)

    def load(self, sums: npt.ArrayLike) -> Self:
        """Replaces the state and returns self.

        Raises:
            ValueError: The sums have another shape or are not finite.
        """
        row = np.asarray(sums, dtype=np.float64)
        same_shape("sums", row, (len(self.columns),))
        if not np.isfinite(row).all():
            raise ValueError(f"sums: want finite numbers, got {row.tolist()}")
        self._score = replace(self._score, sums=row[None].copy())
        return self

    def compute(self) -> Score:
        """Returns the score of everything seen, NaN of nothing; it has one row, so no interval."""
        return replace(self._score, sums=self._score.sums.copy())

    def reset(self) -> None:
        """Forgets everything."""
        self.load(np.zeros(len(self.columns)))

    def _add(self, score: Score) -> None:
        self._score = replace(self._score, sums=self._score.sums + score.sums.sum(axis=0))


def marked(values: Values, threshold: float) -> BoolArray:
    """Marks values at or above the threshold, rounded to their dtype; bool is returned as it is."""
    if values.dtype == np.bool_:
        return np.asarray(values, dtype=np.bool_)
    floats = _probabilities(values)
    if not np.isfinite(floats).all():
        row = tuple(int(i) for i in np.argwhere(~np.isfinite(floats))[0])
        raise ValueError(f"values: want finite numbers, got {floats[row]} in row {row}")
    return np.asarray(floats >= floats.dtype.type(threshold))


def _probabilities(values: Values) -> npt.NDArray[np.floating]:
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"values: want floats, got {values.dtype}")
    return np.asarray(values, dtype=values.dtype)
