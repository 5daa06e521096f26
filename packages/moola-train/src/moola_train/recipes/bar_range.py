"""Bars and spans between two times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from moola_data.schema import Bars, Spans


class BarRange(NamedTuple):
    """Bars of a stretch of time, with the spans that lie in it whole, numbered anew."""

    bars: Bars
    spans: Spans


def bars_between(bars: Bars, spans: Spans, *, begin: str | None, end: str | None) -> BarRange:
    """Takes the bars from one time to another.

    A span that only a part of is left of is left out: it would be labelled by half of itself.

    Args:
        bars: All bars.
        spans: Their spans.
        begin: First time, ISO 8601, included; None: the first there is.
        end: Last time, included; None: the last.

    Returns:
        The bars and spans; the given ones where neither time is.

    Raises:
        ValueError: A time is none, or no bar lies between them.
    """
    if begin is None and end is None:
        return BarRange(bars, spans)
    low, high = _time("begin", begin), _time("end", end)
    kept = np.ones(len(bars), bool)
    if low is not None:
        kept &= bars.time >= low
    if high is not None:
        kept &= bars.time <= high
    if not kept.any():
        raise ValueError(f"bars: want some from {begin} to {end}, got none of {len(bars)}")
    place = np.cumsum(kept) - 1
    whole = kept[spans.start] & kept[spans.end]
    columns = ("time", "open", "high", "low", "close", "symbol", "segment")
    return BarRange(
        bars.model_copy(update={name: getattr(bars, name)[kept] for name in columns}),
        spans.model_copy(
            update={
                "start": place[spans.start[whole]].astype(np.int64),
                "end": place[spans.end[whole]].astype(np.int64),
                "type": spans.type[whole],
                "weight": spans.weight[whole],
            }
        ),
    )


def _time(name: str, text: str | None) -> np.datetime64 | None:
    if text is None:
        return None
    try:
        return np.datetime64(text, "ns")
    except ValueError as error:
        raise ValueError(f"{name}: want a time such as 2024-05-31T12:00, got {text!r}") from error
