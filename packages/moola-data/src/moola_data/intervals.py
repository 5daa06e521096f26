"""What a sample depends on, as a closed interval of time, and which samples share some of it."""

from __future__ import annotations

import datetime
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.schema import Bars, Spans
from moola_data.spans import Int
from moola_data.window_split import window_extents

Times = npt.ArrayLike | pd.Series | pd.Index
Duration = int | str | datetime.timedelta | np.timedelta64
Closed = Literal["both", "left"]


class Intervals(NamedTuple):
    """First and last time of each sample, both inclusive, as whole numbers; i8 (n,) each."""

    first: Int
    last: Int


def window_intervals(bars: Bars, spans: Spans, starts: Int, *, length: int, warmup: int = 0) -> Intervals:
    """Gives the interval of each window: its bars, its warm-up, and all of the spans it sees a part of.

    Times are counted from 0 over the distinct times of all symbols, so that two symbols' windows of one day
    overlap: markets move together. With one symbol they are bar numbers.

    Args:
        bars: The bars.
        spans: Their spans.
        starts: First bars of the windows, i8 (n,).
        length: Bars a window.
        warmup: Bars before a window that its features depend on; those of its segment count.

    Returns:
        The intervals, for `prediction_times` and `evaluation_times` of the splitters.
    """
    rank = np.unique(bars.time, return_inverse=True)[1].astype(np.int64)
    first, last = window_extents(spans, starts, length=length)
    first = np.minimum(first, np.maximum(starts - warmup, _heads(bars.segment)[starts]))
    return Intervals(rank[first], rank[last])


def as_intervals(prediction_times: Times, evaluation_times: Times, *, closed: Closed = "both") -> Intervals:
    """Reads intervals of whole numbers or of times, in any order.

    Args:
        prediction_times: When each sample's first input is seen: whole numbers, or times (those with a zone
            as UTC).
        evaluation_times: When its last input or label is known, of the same kind.
        closed: "left" if the evaluation time itself belongs to the next sample.

    Returns:
        The intervals; times as nanoseconds.

    Raises:
        ValueError: Lengths or kinds differ, a value is missing, or an interval ends before it starts.
    """
    first, is_time = _whole("prediction_times", prediction_times)
    last, last_is_time = _whole("evaluation_times", evaluation_times)
    if len(first) != len(last):
        raise ValueError(f"evaluation_times: want {len(first)} values, got {len(last)}")
    if is_time != last_is_time:
        kinds = ("whole numbers", "times")
        raise ValueError(f"evaluation_times: want {kinds[is_time]}, got {kinds[last_is_time]}")
    bad = np.flatnonzero(last < first)
    if bad.size:
        row = bad[0]
        raise ValueError(f"evaluation_times: want at least {first[row]}, got {last[row]} in row {row}")
    if closed == "left":
        last = np.maximum(last - 1, first)
    return Intervals(first, last)


def as_duration(name: str, value: Duration) -> int:
    """Reads a duration in the unit of whole-number intervals; a span of time in nanoseconds.

    Args:
        name: The argument's name, for errors.
        value: A whole number, or a time span such as "2h" or a timedelta.

    Returns:
        The duration, 0 or more.

    Raises:
        ValueError: It is negative.
    """
    whole = int(value) if isinstance(value, (int, np.integer)) else pd.Timedelta(value).as_unit("ns").value
    if whole < 0:
        raise ValueError(f"{name}: want 0 or more, got {value}")
    return whole


def merged(intervals: Intervals) -> Intervals:
    """Unites overlapping and touching intervals.

    Args:
        intervals: Any intervals.

    Returns:
        The same times as disjoint intervals, ascending.
    """
    order = np.argsort(intervals.first, kind="stable")
    first, last = intervals.first[order], np.maximum.accumulate(intervals.last[order])
    if not len(first):
        return Intervals(first, last)
    opens = np.concatenate([[True], first[1:] > last[:-1] + 1])
    closes = np.concatenate([opens[1:], [True]])
    return Intervals(first[opens], last[closes])


def touching(intervals: Intervals, others: Intervals) -> npt.NDArray[np.bool_]:
    """Tells which intervals share a time with any of the others.

    Args:
        intervals: Intervals to judge, n of them.
        others: Intervals, in any order.

    Returns:
        One bool an interval, (n,).
    """
    union = merged(others)
    reached = np.searchsorted(union.first, intervals.last, side="right")
    passed = np.searchsorted(union.last, intervals.first, side="left")
    touch: npt.NDArray[np.bool_] = reached > passed
    return touch


def _whole(name: str, values: Times) -> tuple[Int, bool]:
    index = pd.Index(values)  # type: ignore[arg-type]  # the stubs want one overload an element type
    if index.hasnans:
        raise ValueError(
            f"{name}: want a time in every row, got none in row {np.flatnonzero(index.isna())[0]}"
        )
    if isinstance(index, pd.DatetimeIndex):
        naive = index if index.tz is None else index.tz_convert(None)
        return naive.to_numpy().astype("M8[ns]").astype(np.int64), True
    if not pd.api.types.is_integer_dtype(index):
        raise ValueError(f"{name}: want whole numbers or times, got {index.dtype}")
    return index.to_numpy().astype(np.int64), False


def _heads(segment: Int) -> Int:
    """First bar of each bar's segment."""
    opens = np.flatnonzero(np.diff(segment, prepend=segment[0] - 1))
    return np.repeat(opens, np.diff(opens, append=len(segment)))
