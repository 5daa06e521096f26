"""A simple rule as a chance level: scores for every bar, with thresholds of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import matrix
from moola_eval.decoding import PLAIN, Decoder, decode
from moola_eval.forecast import Forecast
from moola_eval.schema import Threshold, Truth
from moola_eval.threshold import choose_threshold


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A rule's scores on the windows to be reported, and its thresholds from other windows.

    Attributes:
        values: (n, K) finite floats, higher for bars that the rule takes for inside.
        threshold: For spans.
        bar_threshold: For bars.
        meaning: What the rule does, for the report.
    """

    values: npt.NDArray[np.floating]
    threshold: Threshold
    bar_threshold: Threshold
    meaning: str

    @classmethod
    def fit(
        cls,
        values: npt.NDArray[np.floating],
        *,
        inner_values: npt.NDArray[np.floating],
        inner_truth: Truth,
        meaning: str,
        decoder: Decoder = PLAIN,
    ) -> Baseline:
        """Chooses the rule's thresholds on inner windows.

        Args:
            values: (n, K) scores of the windows to be reported.
            inner_values: (m, K) scores of the inner windows.
            inner_truth: Their truth.
            meaning: What the rule does, for the report.
            decoder: How runs become spans.

        Returns:
            The baseline.
        """
        return cls(
            matrix("values", values),
            choose_threshold(inner_values, inner_truth, metric="span_f1", decoder=decoder),
            choose_threshold(inner_values, inner_truth, metric="bar_f1"),
            meaning,
        )

    def forecast(self, shape: tuple[int, int]) -> Forecast:
        """Decides spans and bars of windows of the given shape (n, K)."""
        if self.values.shape != shape:
            raise ValueError(f"baselines: want scores of shape {shape}, got {self.values.shape}")
        return Forecast(
            decode(self.values, threshold=self.threshold.threshold, decoder=self.threshold.decoder),
            self.values >= self.values.dtype.type(self.bar_threshold.threshold),
        )
