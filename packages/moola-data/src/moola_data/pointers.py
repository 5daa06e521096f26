"""Pointers: the centre and the length of a span as two numbers in 0..1; and back."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

PointerEncoding = Literal["origin", "strict", "exact"]
"""How a span (s, e) of a window of K bars becomes (centre, length).

========  ==================  ===============  ==========================================================
encoding  centre              length           decoded
========  ==================  ===============  ==========================================================
origin    (s + e) / 2 / K     (e - s) / K      centre K -/+ length K / 2: s and e again
strict    (s + e) / 2 / (K-1) (e - s + 1) / K  (centre -/+ length / 2) (K-1), limited to 0..K-1: wider
                                               than the span by (1 - length) / 2 bars on each side
exact     (s + e) / 2 / (K-1) (e - s + 1) / K  centre (K-1) -/+ (length K - 1) / 2: s and e again
========  ==================  ===============  ==========================================================
"""
Array = npt.NDArray[np.floating]
Double = npt.NDArray[np.float64]


def encode_pointers(
    start: npt.ArrayLike, end: npt.ArrayLike, *, length: int, encoding: PointerEncoding
) -> npt.NDArray[np.float32]:
    """Encodes spans.

    Args:
        start: First bars, (...).
        end: Last bars, inclusive, (...).
        length: Bars a window K, at least 2.
        encoding: See `PointerEncoding`.

    Returns:
        (centre, length), each in [0, 1], f4 (..., 2).

    Raises:
        ValueError: A span leaves 0..K-1 or ends before it starts.

    >>> [round(float(p), 4) for p in encode_pointers(50, 65, length=105, encoding="origin")]
    [0.5476, 0.1429]
    """
    s, e = np.asarray(start, np.float64), np.asarray(end, np.float64)
    bad = np.flatnonzero((s < 0) | (e >= length) | (e < s))
    if bad.size:
        row = bad[0]
        found = f"{s.flat[row]:g}..{e.flat[row]:g}"
        raise ValueError(f"start, end: want 0 <= start <= end < {length}, got {found} in row {row}")
    centre = (s + e) / 2
    if encoding == "origin":
        pair = centre / length, (e - s) / length
    else:
        pair = centre / (length - 1), (e - s + 1) / length
    return np.stack(pair, axis=-1).astype(np.float32)


def decode_pointers(pointers: Array, *, length: int, encoding: PointerEncoding) -> tuple[Double, Double]:
    """Decodes to bars, not rounded; for pointers that were encoded, rounding gives the span back.

    The "strict" decoder is kept as it was published: it does not invert its encoder.

    Args:
        pointers: (centre, length), (..., 2).
        length: Bars a window K.
        encoding: See `PointerEncoding`.

    Returns:
        First and last bar, both inclusive, f8 (...) each.
    """
    p = np.asarray(pointers, np.float64)
    if encoding == "strict":
        centre, half = p[..., 0] * (length - 1), p[..., 1] * (length - 1) / 2
        return np.clip(centre - half, 0, length - 1), np.clip(centre + half, 0, length - 1)
    in_bars = pointers_in_bars(p, length=length, encoding=encoding)
    half = (in_bars[..., 1] - 1) / 2
    return in_bars[..., 0] - half, in_bars[..., 0] + half


def pointers_in_bars(pointers: Array, *, length: int, encoding: PointerEncoding) -> Double:
    """Gives centre (s + e) / 2 and length e - s + 1 in bars, the same two for every encoding.

    Args:
        pointers: (centre, length), (..., 2).
        length: Bars a window K.
        encoding: See `PointerEncoding`.

    Returns:
        (centre, length) in bars, f8 (..., 2).
    """
    p = np.asarray(pointers, np.float64)
    if encoding == "origin":
        return np.stack([p[..., 0] * length, p[..., 1] * length + 1], axis=-1)
    return np.stack([p[..., 0] * (length - 1), p[..., 1] * length], axis=-1)
