"""The simple rule that a model has to beat: how far the close moved in five bars."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars

Double = npt.NDArray[np.float64]


def five_bar_move(bars: Bars, *, bars_back: int = 5, atr_bars: int = 10) -> Double:
    """Measures the distance of close[t] from close[t-5] in ATR: a score from the bars up to t alone.

    The ATR is the mean true range of the last `atr_bars` bars, t included, of the segment; fewer at its head.
    A segment's first bar has the true range high - low.

    Args:
        bars: The bars.
        bars_back: How far back the move starts, 5 unless given.
        atr_bars: Bars of the ATR.

    Returns:
        The move in ATR, 0 or more, f8 (N,); NaN in a segment's first `bars_back` bars and where the ATR is 0.

    Raises:
        ValueError: `bars_back` or `atr_bars` is below 1.
    """
    for name, value in (("bars_back", bars_back), ("atr_bars", atr_bars)):
        if value < 1:
            raise ValueError(f"{name}: want 1 or more bars, got {value}")
    return _moves(bars.high, bars.low, bars.close, bars.segment, bars_back, atr_bars)


@numba.njit(cache=True)
def _moves(
    high: Double,
    low: Double,
    close: Double,
    segment: npt.NDArray[np.int64],
    bars_back: int,
    atr_bars: int,
) -> Double:
    move = np.full(len(close), np.nan)
    head = 0
    for t in range(len(close)):
        if t and segment[t] != segment[t - 1]:
            head = t
        if t - head < bars_back:
            continue
        total = 0.0
        first = max(head, t - atr_bars + 1)
        for i in range(first, t + 1):
            reach = high[i] - low[i]
            if i > head:
                reach = max(reach, abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
            total += reach
        if total > 0:
            move[t] = abs(close[t] - close[t - bars_back]) / (total / (t + 1 - first))
    return move
