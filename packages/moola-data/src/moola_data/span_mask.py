"""Spans of a window as one value a bar: mask, soft mask, tags; and back."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.spans import Int, Runs, check_runs, longest_span

Float = npt.NDArray[np.float32]
TagScheme = Literal["inside", "begin-inside"]


class WindowRuns(NamedTuple):
    """Decoded spans by window, sorted by window, then start; i8 (m,) each, both ends inclusive."""

    window: Int
    start: Int
    end: Int


def span_mask(runs: Runs, *, windows: int, length: int) -> Float:
    """Marks the bars of the union of all spans: m_t = 1 where some span has start <= t <= end.

    Args:
        runs: Spans by window, inside the window.
        windows: Number of windows n.
        length: Bars a window K.

    Returns:
        0 or 1, f4 (n, K).

    Raises:
        ValueError: A span leaves its window, here as in `soft_mask` and `span_tags`.
    """
    check_runs(runs, windows=windows, length=length)
    step = np.zeros((windows, length + 1), np.int32)
    np.add.at(step, (runs.window, runs.start), 1)
    np.add.at(step, (runs.window, runs.end + 1), -1)
    return (np.cumsum(step, axis=1)[:, :length] > 0).astype(np.float32)


def decode_mask(mask: npt.NDArray[np.floating], *, threshold: float = 0.5) -> WindowRuns:
    """Reads runs of bars at or above the threshold as spans.

    The inverse of `span_mask` where spans neither overlap nor touch; those that do come back as one.

    Args:
        mask: One value a bar, (n, K).
        threshold: A value equal to it is inside.

    Returns:
        The runs.

    Raises:
        ValueError: The threshold is NaN.
    """
    if np.isnan(threshold):
        raise ValueError(f"threshold: want a number, got {threshold}")
    inside = np.asarray(mask) >= threshold
    edge = np.zeros((len(inside), 1), np.int8)
    step = np.diff(inside.astype(np.int8), axis=1, prepend=edge, append=edge)
    window, start = np.nonzero(step == 1)
    _, after = np.nonzero(step == -1)
    return WindowRuns(window.astype(np.int64), start.astype(np.int64), after.astype(np.int64) - 1)


def soft_mask(runs: Runs, *, windows: int, length: int) -> Float:
    """Softens the mask's borders: 1 inside, 0.5 - 0.25 d at d bars outside, never below 0.

    So the neighbour of a span is .25 and everything further 0. `decode_mask(..., threshold=1)` inverts it.

    Args:
        runs: Spans by window, inside the window.
        windows: Number of windows n.
        length: Bars a window K.

    Returns:
        0, .25 or 1, f4 (n, K).
    """
    mask = span_mask(runs, windows=windows, length=length)
    beside = np.zeros_like(mask)
    beside[:, 1:] = mask[:, :-1]
    beside[:, :-1] = np.maximum(beside[:, :-1], mask[:, 1:])
    soft: Float = np.maximum(mask, np.float32(0.25) * beside)
    return soft


def span_tags(runs: Runs, *, windows: int, length: int, scheme: TagScheme = "inside") -> Int:
    """Tags bars for a sequence model.

    Args:
        runs: Spans by window, inside the window.
        windows: Number of windows n.
        length: Bars a window K.
        scheme: "inside": 0 outside, 1 inside. "begin-inside": 0 outside, 1 first bar of a span, 2 its other
            bars, which keeps touching spans apart.

    Returns:
        Tags, i8 (n, K).
    """
    tags = span_mask(runs, windows=windows, length=length).astype(np.int64)
    if scheme == "begin-inside":
        tags *= 2
        tags[runs.window, runs.start] = 1
    return tags


def decode_tags(tags: Int, *, scheme: TagScheme = "inside") -> WindowRuns:
    """Reads tags as spans; a 2 that follows a 0 opens a span as a 1 does.

    Args:
        tags: Tags, i8 (n, K).
        scheme: That of `span_tags`.

    Returns:
        The spans: those encoded, as long as they did not overlap (nor touch, with "inside").
    """
    inside = tags > 0
    if scheme == "inside":
        return decode_mask(inside.astype(np.float32))
    shifted = np.zeros_like(inside)
    shifted[:, 1:] = inside[:, :-1]
    opens = (tags == 1) | (inside & ~shifted)
    following = np.ones_like(inside)
    following[:, :-1] = opens[:, 1:] | ~inside[:, 1:]
    window, start = np.nonzero(opens)
    _, end = np.nonzero(inside & following)
    return WindowRuns(window.astype(np.int64), start.astype(np.int64), end.astype(np.int64))


def span_bounds(runs: Runs, *, windows: int) -> Int:
    """Gives first and last bar of each window's longest span, as class indices of a start and an end head.

    Args:
        runs: Spans by window.
        windows: Number of windows n.

    Returns:
        (start, end), both inclusive, -1 where the window sees no span, i8 (n, 2).
    """
    longest = longest_span(runs, windows=windows)
    bounds = np.full((windows, 2), -1, np.int64)
    has = longest >= 0
    bounds[has, 0], bounds[has, 1] = runs.start[longest[has]], runs.end[longest[has]]
    return bounds


def decode_bounds(bounds: Int) -> WindowRuns:
    """Reads bounds as one span a window; windows with -1 have none.

    Args:
        bounds: (start, end), i8 (n, 2).

    Returns:
        The spans.

    Raises:
        ValueError: An end lies before its start.
    """
    backwards = np.flatnonzero(bounds[:, 1] < bounds[:, 0])
    if backwards.size:
        row = backwards[0]
        raise ValueError(f"bounds: want end >= start, got {bounds[row, 0]}..{bounds[row, 1]} in row {row}")
    window = np.flatnonzero(bounds[:, 0] >= 0)
    return WindowRuns(window, bounds[window, 0], bounds[window, 1])
