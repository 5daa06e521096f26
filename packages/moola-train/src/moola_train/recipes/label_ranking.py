"""The order in which windows are worth labelling: much to learn an hour, and nothing told twice.

The best window is taken first. Each choice lowers the worth of the windows that look like it: all of them are
points of a Gaussian process over the encoder's states, and what is left of a point's variance once the chosen
ones are known is what it still has to tell (the greedy order of a determinantal point process whose quality
is the value an hour; Kulesza and Taskar 2012, section 2.4.1). An exact copy of a chosen window has nothing
left.

n windows, R width of a window's encoding, m chosen windows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
NEAR = 0.01
"""Two windows as close as this share of all pairs are of one kind, and tell each other a seventh."""
PAIRS_OF = 1000
"""About so many windows are compared to find that distance."""


class Work(NamedTuple):
    """What labelling costs."""

    window_seconds: float = 20.0
    """To look at a window."""
    span_seconds: float = 10.0
    """To mark a span, or to put one right."""

    def hours(self, spans: Float) -> Float:
        """Hours for windows with so many spans, (n,).

        Raises:
            ValueError: A cost is negative, or a window costs nothing.

        >>> Work(window_seconds=30, span_seconds=15).hours(np.array([0.0, 2.0])).tolist()
        [0.008333333333333333, 0.016666666666666666]
        """
        if not 0 < self.window_seconds < np.inf:
            raise ValueError(f"window_seconds: want a number above 0, got {self.window_seconds}")
        if not 0 <= self.span_seconds < np.inf:
            raise ValueError(f"span_seconds: want a number of 0 or more, got {self.span_seconds}")
        return (self.window_seconds + self.span_seconds * spans) / 3600


class Ranking(NamedTuple):
    """Chosen windows, the best first."""

    window: Int
    """Which, (m,)."""
    left: Float
    """Share of its worth that a window still had when it was chosen, 0..1, (m,)."""
    score: Float
    """Value an hour times that share, (m,)."""


def rank_windows(
    value: Float, hours: Float, encoding: npt.NDArray[np.float32], *, count: int, starts: Int, length: int
) -> Ranking:
    """Chooses windows one by one.

    Args:
        value: What a window is worth, 0 or more, (n,).
        hours: What it costs, above 0, (n,).
        encoding: Where it lies in the network's eyes, (n, R).
        count: How many are wanted; fewer are given where the rest overlaps what is chosen.
        starts: First bars, (n,): windows that share a bar with a chosen one are left out.
        length: Bars a window.

    Returns:
        The order. Windows of equal score come in the order of their bars.

    Raises:
        ValueError: A number is out of range or not finite, or the shapes differ.
    """
    n = len(value)
    for name, array, shape in (
        ("value", value, (n,)),
        ("hours", hours, (n,)),
        ("starts", starts, (n,)),
        ("encoding", encoding, (n, *encoding.shape[1:])),
    ):
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name}: want finite numbers of shape {shape}, got shape {array.shape}")
    if (value < 0).any() or (hours <= 0).any() or count < 1:
        raise ValueError(
            f"count: want 1 or more, values of 0 or more and hours above 0, got {count}, "
            f"{value.min(initial=0)} and {hours.min(initial=1)}"
        )
    points = encoding.astype(np.float64) - encoding.mean(0, dtype=np.float64)
    width = _near(points) / 2
    worth = value / hours
    left, free = np.ones(n), np.ones(n, bool)
    rows = np.zeros((min(count, n), n))
    chosen, shares = [], []
    for m in range(min(count, n)):
        score = np.where(free, worth * left, -1.0)
        best = int(score.argmax())
        if score[best] < 0:
            break
        chosen.append(best)
        shares.append(left[best])
        # One more row of the Cholesky factor of the windows' covariance.
        alike = np.exp(-((points - points[best]) ** 2).sum(1) / (2 * width**2))
        if left[best] > 1e-9:
            rows[m] = (alike - rows[:m].T @ rows[:m, best]) / np.sqrt(left[best])
            left = np.clip(left - rows[m] ** 2, 0.0, 1.0)
        free &= np.abs(starts - starts[best]) >= length
    window = np.array(chosen, np.int64)
    share = np.array(shares)
    return Ranking(window, share, worth[window] * share)


def _near(points: Float) -> float:
    few = points[:: max(len(points) // PAIRS_OF, 1)]
    square = (few**2).sum(1)
    apart = np.maximum(square[:, None] + square - 2 * few @ few.T, 0)[np.triu_indices(len(few), 1)]
    apart = apart[apart > 0]
    return float(np.sqrt(np.quantile(apart, NEAR))) if len(apart) else 1.0
