"""What every head of whole spans is told while training: the bars in spans."""

from __future__ import annotations

from torch import Tensor


def marks_of(target: Tensor, bars: Tensor) -> Tensor:
    """Returns the bars in spans, bool (B, K): those whose soft mark is 0.5 or more.

    Args:
        target: Soft or hard marks, (B, K).
        bars: The states (B, K, R) that a head reads.

    Raises:
        ValueError: If the shapes do not fit: marks of one bar or one window would silently stand for all.

    >>> import torch
    >>> marks_of(torch.tensor([[0.0, 0.5, 1.0]]), torch.zeros(1, 3, 8))
    tensor([[False,  True,  True]])
    """
    if target.shape != bars.shape[:2]:
        raise ValueError(f"target: want shape {tuple(bars.shape[:2])}, got {tuple(target.shape)}")
    return target >= 0.5
