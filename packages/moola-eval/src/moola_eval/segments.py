"""F1 over cells of several bars."""

from __future__ import annotations

import numpy as np

from moola_eval._arguments import BoolArray, same_shape
from moola_eval.bars import bar_counts
from moola_eval.score import Score, f_score


def segment_f1(true: BoolArray, pred: BoolArray, *, size: int) -> Score:
    """Scores cells of `size` bars; a cell is marked if any of its bars is.

    Cells begin with each window's first bar, so the score depends on where a window begins; a shorter last
    cell counts as one.

    Args:
        true: (n, K) bool, bars inside a true span.
        pred: (n, K) bool, bars marked.
        size: Bars in a cell.

    Returns:
        The score with parts "precision" and "recall", pooled over windows.

    >>> true, pred = np.zeros((2, 1, 20), bool)
    >>> true[0, 3], pred[0, 4], pred[0, 12] = True, True, True
    >>> round(segment_f1(true, pred, size=5).value, 3)
    0.667
    """
    if size < 1:
        raise ValueError(f"size: want 1 or more bars, got {size}")
    if true.ndim != 2:
        raise ValueError(f"true: want shape (n, K), got {true.shape}")
    same_shape("pred", pred, true.shape)
    tp, n_pred, n_true = bar_counts(_cells(true, size), _cells(pred, size))
    return f_score("segment_f1", f"F1 of cells of {size} bars, pooled", tp=tp, n_pred=n_pred, n_true=n_true)


def _cells(mask: BoolArray, size: int) -> BoolArray:
    n, bars = mask.shape
    cells = -(-bars // size)
    padded = np.zeros((n, cells * size), dtype=mask.dtype)
    padded[:, :bars] = mask
    return np.asarray(padded.reshape(n, cells, size).any(axis=2))
