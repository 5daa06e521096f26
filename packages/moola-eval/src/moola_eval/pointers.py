"""Errors of a pointed-at span: centre and length, first and last bar."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray, matrix
from moola_eval.score import Score, mean

Side = Literal["onset", "offset", "both", "centre"]
Pointed = Literal["centre", "length"]


def pointer_error(
    start: IntArray,
    end: IntArray,
    pointers: npt.NDArray[np.floating],
    *,
    of: Pointed,
    valid: BoolArray | None = None,
) -> Score:
    """Mean absolute error of the pointed centre or length, in bars.

    Args:
        start: (n,) true first bar.
        end: (n,) true last bar, inclusive; the centre is (start + end) / 2, the length end - start + 1.
        pointers: (n, 2) floats, predicted centre and length in bars.
        of: Which of the two.
        valid: (n,) bool, windows that have a span; None means all.

    Returns:
        The score, lower is better; the count says how many windows had a span.

    >>> pointer_error(np.array([40]), np.array([49]), np.array([[46.5, 8.0]]), of="centre").value
    2.0
    """
    centre, length = errors(start, end, pointers)
    return _mean(
        f"pointer_{of}_mae",
        f"mean |{of} error| in bars, of windows with a span",
        np.abs(centre if of == "centre" else length),
        valid,
    )


def pointer_hit(
    start: IntArray,
    end: IntArray,
    pointers: npt.NDArray[np.floating],
    *,
    k: float = 3,
    side: Side = "both",
    valid: BoolArray | None = None,
) -> Score:
    """Share of windows with a span whose pointed span lies within k bars (inclusive).

    Args:
        start: (n,) true first bar.
        end: (n,) true last bar, inclusive.
        pointers: (n, 2) floats, predicted centre c and length L in bars: the pointed span is
            c - (L - 1) / 2 .. c + (L - 1) / 2, not rounded.
        k: Tolerance in bars.
        side: What must lie within k: the first bar, the last, both, or the centre.
        valid: (n,) bool, windows that have a span; None means all.

    Returns:
        The score; the denominator is the number of windows with a span.

    >>> pointer_hit(np.array([40]), np.array([60]), np.array([[50.0, 25.0]]), k=3).value
    1.0
    >>> pointer_hit(np.array([40]), np.array([60]), np.array([[50.0, 25.0]]), k=1).value
    0.0
    """
    if k < 0:
        raise ValueError(f"k: want 0 or more bars, got {k}")
    hit = hits(start, end, pointers, k=k, side=side)
    return _mean(
        f"pointer_hit_at_{k:g}_{side}",
        f"share of windows with a span whose pointed {side} is within {k:g} bars",
        hit.astype(np.float64),
        valid,
        higher_is_better=True,
        best=1.0,
    )


def hits(
    start: IntArray, end: IntArray, pointers: npt.NDArray[np.floating], *, k: float, side: Side
) -> BoolArray:
    """Says of each window whether its pointed span lies within k bars, (n,) bool."""
    centre, length = errors(start, end, pointers)
    onset, offset = np.abs(centre - length / 2), np.abs(centre + length / 2)
    miss = {"onset": onset, "offset": offset, "both": np.maximum(onset, offset), "centre": np.abs(centre)}[
        side
    ]
    return np.asarray(miss <= k)


def errors(
    start: IntArray, end: IntArray, pointers: npt.NDArray[np.floating]
) -> tuple[FloatArray, FloatArray]:
    """Returns predicted minus true centre and length, each (n,) bars."""
    p = matrix("pointers", pointers).astype(np.float64)
    if p.shape != (len(start), 2):
        raise ValueError(f"pointers: want shape ({len(start)}, 2), got {p.shape}")
    return p[:, 0] - (start + end) / 2, p[:, 1] - (end - start + 1)


def _mean(
    name: str,
    definition: str,
    values: FloatArray,
    valid: BoolArray | None,
    *,
    higher_is_better: bool = False,
    best: float = 0.0,
) -> Score:
    known = np.ones(len(values), dtype=np.bool_) if valid is None else valid
    return mean(
        name,
        definition,
        np.where(known, values, 0.0),
        known.astype(np.float64),
        unit="windows",
        higher_is_better=higher_is_better,
        best=best,
    )
