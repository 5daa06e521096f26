"""Windows over a feature matrix: where they start, a view of them, a batch of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float32]


def window_starts(segment: npt.NDArray[np.integer], *, length: int, stride: int = 1, first: int = 0) -> Int:
    """Lists the first bars of all windows that lie inside one segment.

    Args:
        segment: Segment number of each bar, (N,); a segment is a run of equal numbers.
        length: Bars a window.
        stride: Bars from one start to the next within a segment.
        first: Bars left out at the head of every segment, for features to warm up.

    Returns:
        Starts, ascending, i8 (n,).

    Raises:
        ValueError: `length` or `stride` is below 1, or `first` below 0.

    >>> window_starts(np.array([0, 0, 0, 0, 1, 1, 1]), length=3).tolist()
    [0, 1, 4]
    """
    for name, value, least in (("length", length, 1), ("stride", stride, 1), ("first", first, 0)):
        if value < least:
            raise ValueError(f"{name}: want {least} or more, got {value}")
    if not len(segment):
        return np.empty(0, np.int64)
    head = np.flatnonzero(np.diff(segment, prepend=segment[0] - 1))
    size = np.diff(head, append=len(segment))
    count = np.maximum((size - first - length) // stride + 1, 0)
    piece = np.repeat(np.arange(len(head)), count)
    step = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    starts: Int = (head[piece] + first + step * stride).astype(np.int64)
    return starts


def window_view(features: Float, *, length: int) -> Float:
    """Shows every window of a feature matrix without copying: window i is rows i..i+K-1.

    Index it with starts to copy a batch out: ``window_view(x, length=105)[starts]``. Memory-mapped
    matrices (``np.load(path, mmap_mode="r")``) work and stay on disk until then.

    Args:
        features: One row a bar, f4 (N, F), C order.
        length: Bars a window K.

    Returns:
        A read-only view, f4 (N-K+1, K, F).

    Raises:
        ValueError: The matrix has fewer rows than a window or is not two-dimensional.
    """
    if features.ndim != 2:
        raise ValueError(f"features: want shape (N, F), got {features.shape}")
    if not 1 <= length <= len(features):
        raise ValueError(f"features: want at least {length} rows for a window, got {len(features)}")
    row, column = features.strides
    shape = (len(features) - length + 1, length, features.shape[1])
    return as_strided(features, shape=shape, strides=(row, row, column), writeable=False)


def gather(features: Float, starts: npt.ArrayLike, *, length: int, position: bool = False) -> Float:
    """Copies a batch of windows out of a feature matrix.

    Args:
        features: One row a bar, f4 (N, F), in memory or memory-mapped.
        starts: First bars of the wanted windows, in any order, (b,).
        length: Bars a window K.
        position: Whether to append t/(K-1), 0 at a window's first bar and 1 at its last. It tells the
            model where in the window a bar lies: an artefact of how windows were cut, so off by default.

    Returns:
        The batch, f4 (b, K, F) or (b, K, F+1).

    Raises:
        ValueError: A start lies outside 0..N-K.
    """
    view = window_view(features, length=length)
    index = np.asarray(starts, np.int64)
    bad = np.flatnonzero((index < 0) | (index >= len(view)))
    if bad.size:
        raise ValueError(f"starts: want 0..{len(view) - 1}, got {index[bad[0]]} in row {bad[0]}")
    if not position:
        return np.asarray(view[index])
    batch = np.empty((len(index), length, features.shape[1] + 1), np.float32)
    batch[..., :-1] = view[index]
    batch[..., -1] = np.linspace(0, 1, length, dtype=np.float32)
    return batch
