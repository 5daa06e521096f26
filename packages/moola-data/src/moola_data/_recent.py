"""Sums and extremes of the last bars, each put together from powers of two.

Running sums drift and depend on where they began. Here the sum over the last 2, 4, 8 … bars is the sum of two
halves, so that what a bar sees is the same whatever was before, to the last bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data._fuse import part

Float = npt.NDArray[np.float64]

RING = 64  # bars remembered: a power of two above the longest window
HORIZONS = (3, 5, 10, 20)


@part
def push_sum(ring: Float, i: int, value: float) -> None:
    """Adds bar i; row k of the ring holds sums over 2**k bars, (k, RING)."""
    ring[0, i & (RING - 1)] = value
    for level in range(1, len(ring)):
        half = ring[level - 1, (i - (1 << (level - 1))) & (RING - 1)]
        ring[level, i & (RING - 1)] = ring[level - 1, i & (RING - 1)] + half


@part
def push_max(ring: Float, i: int, value: float) -> None:
    """Adds bar i; row k of the ring holds maxima over 2**k bars, (k, RING)."""
    ring[0, i & (RING - 1)] = value
    for level in range(1, len(ring)):
        half = ring[level - 1, (i - (1 << (level - 1))) & (RING - 1)]
        ring[level, i & (RING - 1)] = max(ring[level - 1, i & (RING - 1)], half)


@part
def at_bar(ring: Float, level: int, i: int) -> float:
    """Returns what stood in a row of the ring at bar i, at most RING bars ago."""
    value: float = ring[level, i & (RING - 1)]
    return value


@part
def values_ago(ring: Float, i: int) -> tuple[float, float, float, float]:
    """Returns the value of 3, 5, 10 and 20 bars before bar i."""
    return at_bar(ring, 0, i - 3), at_bar(ring, 0, i - 5), at_bar(ring, 0, i - 10), at_bar(ring, 0, i - 20)


@part
def max_of(ring: Float, i: int) -> tuple[float, float, float, float]:
    """Returns maxima over the last 3, 5, 10 and 20 bars, each of two overlapping stretches."""
    return (
        max(at_bar(ring, 1, i), at_bar(ring, 1, i - 1)),
        max(at_bar(ring, 2, i), at_bar(ring, 2, i - 1)),
        max(at_bar(ring, 3, i), at_bar(ring, 3, i - 2)),
        max(at_bar(ring, 4, i), at_bar(ring, 4, i - 4)),
    )


@part
def sum_of(ring: Float, i: int) -> tuple[float, float, float, float]:
    """Returns sums over the last 3, 5, 10 and 20 bars."""
    return (
        at_bar(ring, 1, i) + at_bar(ring, 0, i - 2),
        at_bar(ring, 2, i) + at_bar(ring, 0, i - 4),
        at_bar(ring, 3, i) + at_bar(ring, 1, i - 8),
        at_bar(ring, 4, i) + at_bar(ring, 2, i - 16),
    )


@part
def sum_of_10(ring: Float, i: int) -> float:
    """Returns the sum over the last 10 bars."""
    return at_bar(ring, 3, i) + at_bar(ring, 1, i - 8)


@part
def sum_of_50(ring: Float, i: int) -> float:
    """Returns the sum over the last 50 bars."""
    return at_bar(ring, 5, i) + at_bar(ring, 4, i - 32) + at_bar(ring, 1, i - 48)
