"""Countdown: how many bars each bar lies before the nearest start of a span; and back."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_data.span_mask import Float
from moola_data.spans import Int, Runs, check_runs

CountdownForm = Literal["raw", "clipped", "normalised"]
CLIP = 20
"""Bars to either side of a start beyond which the clipped and the normalised form say no more."""
BUCKET_EDGES = (-20, -10, -5, -2, 0, 1, 3, 6, 11, 21)
"""Eleven buckets: 21 or more bars after a start, 20..11, 10..6, 5..3, 2..1, on it, and the same before it."""


def countdown(runs: Runs, *, windows: int, length: int, form: CountdownForm = "raw") -> Float:
    """Counts the bars to the nearest visible start: positive before it, 0 on it, negative after it.

    Half way between two starts, the next one counts. Raw: c_t = s - t. Clipped: c_t limited to ±20.
    Normalised: (clipped + 20) / 40, so .5 on the start, 1 for 20 bars or more before it.

    Args:
        runs: Spans by window, inside the window; a cut span starts at its first visible bar.
        windows: Number of windows n.
        length: Bars a window K.
        form: Which of the three.

    Returns:
        Bars, or [0, 1] if normalised; NaN in windows without a span; f4 (n, K).

    Raises:
        ValueError: A span leaves its window.
    """
    check_runs(runs, windows=windows, length=length)
    far = 2 * length
    bar = np.arange(length, dtype=np.int32)
    latest = np.full((windows, length), -far, np.int32)
    latest[runs.window, runs.start] = runs.start
    following = np.where(latest < 0, np.int32(far), latest)
    latest = np.maximum.accumulate(latest, axis=1)
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    ahead, behind = following - bar, bar - latest
    count = np.where(ahead <= behind, ahead, -behind).astype(np.float32)
    seen = np.zeros(windows, bool)
    seen[runs.window] = True
    count[~seen] = np.nan
    return encode_countdown(count, form=form)


def encode_countdown(raw: Float, *, form: CountdownForm) -> Float:
    """Brings a raw countdown into a form.

    Args:
        raw: Bars to the nearest start, f4, any shape.
        form: "raw", "clipped" or "normalised".

    Returns:
        The form, f4, same shape.
    """
    if form == "raw":
        return raw
    clipped = np.clip(raw, -CLIP, CLIP)
    return clipped if form == "clipped" else (clipped + np.float32(CLIP)) / np.float32(2 * CLIP)


def decode_countdown(values: npt.NDArray[np.floating], *, form: CountdownForm) -> Float:
    """Brings a form back to bars; ±20 then stands for 20 or more.

    Args:
        values: Countdown in the given form, any shape.
        form: "raw", "clipped" or "normalised".

    Returns:
        Bars to the nearest start, f4, same shape.
    """
    bars = np.asarray(values, dtype=np.float32)
    return bars * np.float32(2 * CLIP) - np.float32(CLIP) if form == "normalised" else bars


def countdown_starts(bars: npt.NDArray[np.floating]) -> tuple[Int, Int]:
    """Reads the starts from a countdown in bars: where it rounds to 0.

    Args:
        bars: Decoded countdown, (n, K).

    Returns:
        Window and bar of each start, i8 (s,) each: exactly those encoded.
    """
    window, bar = np.nonzero(np.abs(bars) < 0.5)
    return window.astype(np.int64), bar.astype(np.int64)


def distance_bucket(raw: Float, *, edges: tuple[int, ...] = BUCKET_EDGES) -> Int:
    """Sorts a raw countdown into classes: bucket i holds edges[i-1] <= c < edges[i].

    Args:
        raw: Bars to the nearest start, f4, any shape.
        edges: Ascending bars.

    Returns:
        0..len(edges), -1 where the countdown is NaN; i8, same shape.

    Raises:
        ValueError: The edges do not ascend.
    """
    _check_edges(edges)
    bucket = np.digitize(raw, edges).astype(np.int64)
    return np.where(np.isnan(raw), np.int64(-1), bucket)


def decode_bucket(bucket: Int, *, edges: tuple[int, ...] = BUCKET_EDGES) -> tuple[Float, Float]:
    """Gives the least and the greatest countdown of a bucket, both inclusive; the outer two are open.

    Args:
        bucket: Buckets, i8, any shape; -1 gives NaN.
        edges: Those of `distance_bucket`.

    Returns:
        Least and greatest, f4, same shape; infinite where open.

    Raises:
        ValueError: The edges do not ascend, or there is no such bucket.
    """
    _check_edges(edges)
    bad = np.flatnonzero((bucket < -1) | (bucket > len(edges)))
    if bad.size:
        raise ValueError(f"bucket: want -1..{len(edges)}, got {bucket.flat[bad[0]]} in row {bad[0]}")
    bounds = np.array([-np.inf, *edges, np.inf], np.float32)
    least, greatest = bounds[bucket], bounds[bucket + 1] - 1
    unknown = bucket < 0
    return np.where(unknown, np.float32(np.nan), least), np.where(unknown, np.float32(np.nan), greatest)


def informative_band(raw: Float, *, band: int = CLIP) -> npt.NDArray[np.bool_]:
    """Marks bars near enough to a start for the countdown to be knowable.

    Args:
        raw: Bars to the nearest start, f4, any shape.
        band: Most bars to either side, inclusive.

    Returns:
        True from -band to band; False where the countdown is NaN; same shape.
    """
    return np.abs(raw) <= band


def _check_edges(edges: tuple[int, ...]) -> None:
    if not all(a < b for a, b in pairwise(edges)):
        raise ValueError(f"edges: want ascending bars, got {edges}")
