"""A feature set of two features of a bar: where in its range it closes, and how large the range has become.

`fill` is plain numpy here; a compiled function is called in the same way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.features import Feature, FeatureSet, Mirror

Prices = npt.NDArray[np.float64]
WIDEST = 3.0


def close_place(high: Prices, low: Prices, close: Prices) -> Prices:
    """(2 c - h - l) / (h - l), from -1 to 1; 0 of a bar without range."""
    size = high - low
    return np.divide(2 * close - high - low, size, out=np.zeros_like(size), where=size > 0)


def range_growth(high: Prices, low: Prices) -> Prices:
    """log of the range over that of the bar before, at most 3 either way; 0 where one of both is 0."""
    size = high - low
    before = np.concatenate([[0.0], size[:-1]])
    both = (size > 0) & (before > 0)
    ratio = np.divide(size, before, out=np.ones_like(size), where=both)
    return np.clip(np.log(ratio), -WIDEST, WIDEST)


def fill(
    open: Prices,  # noqa: A002 - the caller's name for it
    high: Prices,
    low: Prices,
    close: Prices,
    heads: npt.NDArray[np.int64],
    out: npt.NDArray[np.float32],
) -> None:
    """Writes the two columns; the first bar of a segment has no bar before it."""
    out[:, 0] = close_place(high, low, close)
    out[:, 1] = range_growth(high, low)
    out[heads[:-1], 1] = 0


FEATURES = FeatureSet(
    "example_candle",
    (
        Feature(
            "close_place", "(2c - h - l) / (h - l)", -1, 1, "1", 0, Mirror("close_place", -1.0), close_place
        ),
        Feature(
            "range_growth", "log(range / range before)", -3, 3, "1", 1, Mirror("range_growth"), range_growth
        ),
    ),
    fill,
)
