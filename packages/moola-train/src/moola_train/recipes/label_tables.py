"""Doubts and disagreements as tables that a person reads: times and symbols in place of bar numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.schema import Bars, Spans

Int = npt.NDArray[np.int64]


def in_times(table: pd.DataFrame, bars: Bars, *, columns: tuple[str, ...]) -> pd.DataFrame:
    """Puts the times of bars in the place of their numbers, and the symbol before the first of them.

    Args:
        table: With bar numbers, missing ones allowed.
        bars: The bars.
        columns: Which columns hold bar numbers, in their order; one of them does in every row.

    Returns:
        A new table.
    """
    rows = pd.Series(pd.NA, index=table.index, dtype="Int64")
    for name in columns:
        rows = rows.fillna(table[name])
    symbol = np.array(bars.symbols, object)[bars.symbol[rows.to_numpy(np.int64)]]
    timed = table.assign(**{name: _times(table[name], bars) for name in columns})
    timed.insert(list(table.columns).index(columns[0]), "symbol", symbol)
    return timed


def whole_windows(first: Int, spans: Spans, bars: Bars, *, length: int) -> tuple[Int, Int, Int]:
    """Widens windows until they cut no span, and leaves out those that would overlap one before.

    Args:
        first: First bars of windows, the most urgent first.
        spans: The labels.
        bars: The bars.
        length: Bars a window.

    Returns:
        Which windows are left, and their first and last bars, both included.
    """
    taken = np.zeros(len(bars), bool)
    kept: list[tuple[int, int, int]] = []
    for number, start in enumerate(first.tolist()):
        low, high = start, start + length - 1
        while True:
            cut = (spans.start <= high) & (spans.end >= low)
            wider = min(low, *spans.start[cut].tolist(), low), max(high, *spans.end[cut].tolist(), high)
            if wider == (low, high):
                break
            low, high = wider
        if not taken[low : high + 1].any():
            taken[low : high + 1] = True
            kept.append((number, low, high))
    which, low_bars, high_bars = np.array(kept, np.int64).reshape(-1, 3).T
    return which, low_bars, high_bars


def _times(numbers: pd.Series, bars: Bars) -> pd.Series:
    there = numbers.notna().to_numpy(bool)
    times = np.full(len(numbers), np.datetime64("NaT"), "M8[ns]")
    times[there] = bars.time[numbers[there].to_numpy(np.int64)]
    return pd.Series(times, index=numbers.index)
