"""A model's or a chance level's predictions in the one form in which all are scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, IntArray
from moola_eval.schema import Prediction, Threshold
from moola_eval.spans import Spans

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Predictions of n windows of K bars; None for what is not predicted.

    Attributes:
        spans: Decided spans.
        mask: (n, K) bool, decided bars.
        probability: (n, K) floats in [0, 1].
        pointers: (n, 2) floats, centre and length in bars.
        countdown: (n, K) floats, bars to the nearest start.
        type_probability: (n, C) floats in [0, 1].
    """

    spans: Spans
    mask: BoolArray
    probability: Floats | None = None
    pointers: Floats | None = None
    countdown: Floats | None = None
    type_probability: Floats | None = None

    @classmethod
    def of(cls, prediction: Prediction, *, bar_threshold: Threshold | None = None) -> Forecast:
        """Reads a model's predictions: bars at or above the threshold, without one those inside its spans."""
        n, length = prediction.probability.shape
        table = prediction.spans
        spans = Spans.of(table.window, table.start, table.end, lengths=np.full(n, length), score=table.score)
        p = prediction.probability
        if bar_threshold is None:
            mask = spans.mask().reshape(n, length)
        else:
            mask = p >= p.dtype.type(bar_threshold.threshold)
        return cls(spans, mask, p, prediction.pointers, prediction.countdown, prediction.type_probability)

    def take(self, rows: IntArray) -> Forecast:
        """Returns the predictions of the given windows in that order."""
        return Forecast(
            self.spans.take(rows),
            self.mask[rows],
            *(
                None if a is None else a[rows]
                for a in (self.probability, self.pointers, self.countdown, self.type_probability)
            ),
        )
