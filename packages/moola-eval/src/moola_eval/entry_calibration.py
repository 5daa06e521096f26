"""Whether an entry given 0.9 is exactly right nine times in ten, and one number that helps it to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from moola_eval._arguments import BoolArray, FloatArray, finite, same_shape
from moola_eval.calibration import expected_calibration_error
from moola_eval.score import Score

LOG_RANGE = (-7.0, 7.0)
"""Logarithms of the temperatures that are tried."""
LEAST_DOUBT = 1e-9
"""No given probability counts as nearer to 1: one mistake would have infinite weight."""


@dataclass(frozen=True, slots=True)
class EntryTemperature:
    """p -> p^(1 / temperature), fitted on entries that may not be reported on.

    Attributes:
        temperature: Above 1 where the model doubts too much, below 1 where it is too sure.
        before: Mean negative log-likelihood, in nats an entry, as the probabilities were.
        after: The same with the temperature; never more.
        entries: Ids of the entries that it was fitted on.
    """

    temperature: float
    before: float
    after: float
    entries: frozenset[str]

    @classmethod
    def fit(
        cls, log_probability: npt.NDArray[np.floating], exact: BoolArray, *, entries: Sequence[str]
    ) -> EntryTemperature:
        """Fits by likelihood of "exactly right" or not (Guo and others 2017, for the one event that matters).

        The likelihood has one maximum: it is concave in 1 / temperature.

        Args:
            log_probability: (n,) log-probability of each proposed entry, lines and stops, 0 or less.
            exact: (n,) bool, whether the entry was exactly right.
            entries: Ids of the n entries.

        Returns:
            The temperature.

        Raises:
            ValueError: Sizes differ, a number is out of range, or all entries were right, or all wrong.
        """
        logs = _logs(log_probability, exact, entries)
        if exact.all() or not exact.any():
            raise ValueError(
                f"exact: want right and wrong entries, got {int(exact.sum())} of {len(exact)} right"
            )

        # Held back before the temperature, not after it: else the likelihood could have two maxima.
        doubted = np.minimum(logs, np.log1p(-LEAST_DOUBT))

        def loss(log_temperature: float) -> float:
            return _mean_loss(doubted / np.exp(log_temperature), exact)

        found = minimize_scalar(loss, bounds=LOG_RANGE, method="bounded", options={"xatol": 1e-8})
        best = min((0.0, float(found.x)), key=loss)
        return cls(float(np.exp(best)), loss(0.0), loss(best), frozenset(entries))

    def probability(self, log_probability: npt.NDArray[np.floating], *, entries: Sequence[str]) -> FloatArray:
        """Returns calibrated probabilities of other entries.

        Args:
            log_probability: (n,) log-probabilities, 0 or less.
            entries: Ids of the n entries.

        Returns:
            (n,) float64 in [0, 1].

        Raises:
            ValueError: The temperature was fitted on one of them: such a report would flatter.
        """
        logs = _logs(log_probability, np.zeros(len(log_probability), np.bool_), entries)
        shared = [(row, entry) for row, entry in enumerate(entries) if entry in self.entries]
        if shared:
            raise ValueError(
                f"entries: want others than those fitted on, got {shared[0][1]!r} in row {shared[0][0]}"
            )
        return np.exp(logs / self.temperature)


def entry_calibration_error(
    log_probability: npt.NDArray[np.floating], exact: BoolArray, *, bins: int = 15
) -> Score:
    """Returns the calibration error of exp(log-probability) as the chance that the entry is exactly right.

    >>> entry_calibration_error(np.log([0.5, 0.5]), np.array([True, False])).value
    0.0
    """
    logs = _logs(log_probability, exact, None)
    return expected_calibration_error(np.exp(logs), exact, bins=bins)


def _logs(
    log_probability: npt.NDArray[np.floating], exact: BoolArray, entries: Sequence[str] | None
) -> FloatArray:
    logs = np.asarray(log_probability, dtype=np.float64)
    if logs.ndim != 1:
        raise ValueError(f"log_probability: want shape (n,), got {logs.shape}")
    same_shape("exact", exact, logs.shape)
    if entries is not None and len(entries) != len(logs):
        raise ValueError(f"entries: want {len(logs)} ids, got {len(entries)}")
    finite("log_probability", logs, low=-1e300, high=1e-6)
    return np.minimum(logs, 0.0)


def _mean_loss(logs: FloatArray, exact: BoolArray) -> float:
    return float(-np.mean(np.where(exact, logs, np.log(-np.expm1(logs)))))
