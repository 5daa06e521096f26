"""Some of the windows of a set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.blocks import PARTS, Part
from moola_data.schema import WindowSet, WindowSpans


def select(window_set: WindowSet, index: npt.ArrayLike) -> WindowSet:
    """Takes windows by number, in the given order, repeated ones as often as given.

    Features are shared with the whole set; spans are renumbered to the new windows.

    Args:
        window_set: The windows.
        index: Window numbers, or one bool a window.

    Returns:
        The chosen windows.

    Raises:
        ValueError: A number lies outside 0..n-1, or the bools are not one a window.
    """
    n = len(window_set)
    chosen = np.asarray(index)
    if chosen.dtype == bool:
        if chosen.shape != (n,):
            raise ValueError(f"index: want {n} bools, one a window, got shape {chosen.shape}")
        chosen = np.flatnonzero(chosen)
    chosen = chosen.astype(np.int64)
    bad = np.flatnonzero((chosen < 0) | (chosen >= n))
    if bad.size:
        raise ValueError(f"index: want 0..{n - 1}, got {chosen[bad[0]]} in row {bad[0]}")
    return window_set.model_copy(
        update={
            "starts": window_set.starts[chosen],
            "targets": {task: array[chosen] for task, array in window_set.targets.items()},
            "masks": {task: array[chosen] for task, array in window_set.masks.items()},
            "weight": window_set.weight[chosen],
            "group": window_set.group[chosen],
            "split": window_set.split[chosen],
            "spans": _renumbered(window_set.spans, chosen, windows=n),
        }
    )


def part(window_set: WindowSet, name: Part) -> WindowSet:
    """Takes the windows of one part.

    Args:
        window_set: The windows.
        name: "train", "inner" or "test".

    Returns:
        The windows of that part, in their order.

    Raises:
        ValueError: There is no such part, or it has no window.
    """
    if name not in PARTS:
        raise ValueError(f"part: want one of {PARTS}, got {name!r}")
    mine = window_set.split == PARTS.index(name)
    if not mine.any():
        raise ValueError(f"part: want at least 1 window of {name}, got 0 among {len(window_set)}")
    return select(window_set, mine)


def _renumbered(spans: WindowSpans, chosen: npt.NDArray[np.int64], *, windows: int) -> WindowSpans:
    order = np.argsort(spans.window, kind="stable")
    count = np.bincount(spans.window, minlength=windows)
    first = np.cumsum(count) - count
    wanted = count[chosen]
    window = np.repeat(np.arange(len(chosen)), wanted)
    within = np.arange(len(window)) - np.repeat(np.cumsum(wanted) - wanted, wanted)
    row = order[np.repeat(first[chosen], wanted) + within]
    return WindowSpans(
        window=window.astype(np.int64),
        start=spans.start[row],
        end=spans.end[row],
        type=spans.type[row],
        weight=spans.weight[row],
        cut=spans.cut[row],
    )
