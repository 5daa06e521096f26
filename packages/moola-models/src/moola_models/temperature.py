"""Temperature scaling: one number that logits are divided by so that probabilities are calibrated.

Guo et al. (2017). The mean negative log-likelihood is convex in b = 1 / T, so Newton's method, held inside a
bracket that always contains the root of the slope, finds the one minimum to the last digit. Dividing keeps
the order of the logits: no ranking and no argmax changes.

Fit it on data that neither trained nor selected the model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Temperature(NamedTuple):
    """A fitted temperature.

    Attributes:
        value: What to divide logits by; above 1 where the model was too sure.
        before: Mean negative log-likelihood in nats of the logits as they were.
        after: The same of ``logits / value``.
        examples: How many labels counted.
    """

    value: float
    before: float
    after: float
    examples: int


def fit_temperature(logits: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Temperature:
    """Finds the temperature that makes held-out labels most likely.

    Args:
        logits: Of classes (…, C) with integer labels (…), or of yes or no, with the target's shape.
            Structured heads give such log-odds, too.
        target: Class numbers, int64; or 0 and 1 of any type where the shapes are equal.
        mask: bool, the target's shape: True where a label counts; None: everywhere. What stands elsewhere,
            nan included, is not looked at.

    Returns:
        The temperature and what it changes.

    Raises:
        ValueError: If shapes or labels do not fit, nothing counts, or there is no finite positive optimum:
            every label has the greatest logit (the colder the better) or the logits are worse than chance (no
            temperature helps).

    >>> logits = torch.tensor([2.0, 2.0, 2.0, -2.0])
    >>> marks = torch.tensor([1.0, 1.0, 0.0, 0.0])  # three right of four: sigmoid(2 / T) should be 3/4
    >>> round(2 / fit_temperature(logits, marks).value, 6)  # ln 3
    1.098612
    """
    scores_nC, label_n = _examples(logits, target, mask)
    n = len(label_n)
    right_n = scores_nC.gather(1, label_n[:, None]).squeeze(1)
    highest_n = scores_nC.max(1).values
    if not bool((right_n < highest_n).any()):
        raise ValueError(
            f"target: want at least one label without the greatest logit, got none among {n}: the likelihood "
            "grows as the temperature falls to 0"
        )
    if bool(right_n.mean() <= scores_nC.mean()):
        raise ValueError(
            f"logits: want better ones than chance, got a mean of {float(right_n.mean()):.6g} at the right "
            f"and {float(scores_nC.mean()):.6g} at all classes: no positive temperature is best"
        )

    def slope_and_bend(b: float) -> tuple[float, float]:
        share_nC = (b * scores_nC).softmax(1)
        mean_n = (share_nC * scores_nC).sum(1)
        bend = (share_nC * (scores_nC - mean_n[:, None]).square()).sum(1).mean()
        return float((mean_n - right_n).mean()), float(bend)

    def loss(b: float) -> float:
        return float((torch.logsumexp(b * scores_nC, 1) - b * right_n).mean())

    # The slope is negative at 0 and positive far out: both were just checked.
    low, high = 0.0, 1.0
    while slope_and_bend(high)[0] < 0:
        low, high = high, 2 * high
    b = (low + high) / 2
    for _ in range(200):
        slope, bend = slope_and_bend(b)
        low, high = (b, high) if slope < 0 else (low, b)
        step = b - slope / bend if bend > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - b) <= 1e-14 * b:
            break
        b = following
    return Temperature(1 / b, loss(1.0), loss(b), n)


def _examples(logits: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Float64 logits (n, C) and labels (n,) of what counts, on the CPU."""
    logits, target = logits.detach().cpu().double(), target.detach().cpu()
    binary = logits.shape == target.shape
    if not binary and logits.shape[:-1] != target.shape:
        raise ValueError(
            f"target: want the shape of the logits, or that without classes, got {tuple(target.shape)} "
            f"beside {tuple(logits.shape)}"
        )
    if mask is not None and (mask.shape != target.shape or mask.dtype != torch.bool):
        raise ValueError(f"mask: want bool {tuple(target.shape)}, got {mask.dtype} {tuple(mask.shape)}")
    counts = torch.ones(target.shape, dtype=torch.bool) if mask is None else mask.cpu()
    scores, label_n = logits[counts], target[counts]
    if not len(label_n):
        raise ValueError("mask: want at least one label that counts, got none")
    classes = 2 if binary else scores.shape[1]
    bad_n = ~torch.isin(label_n.double(), torch.arange(classes).double())
    if bad_n.any():
        row = int(bad_n.nonzero()[0])
        raise ValueError(f"target: want 0..{classes - 1}, got {label_n[row].item()} in counted row {row}")
    bad_n = ~scores.reshape(len(scores), -1).isfinite().all(1)
    if bad_n.any():
        row = int(bad_n.nonzero()[0])
        raise ValueError(f"logits: want finite numbers, got {scores[row].tolist()} in counted row {row}")
    scores_nC = torch.stack([torch.zeros_like(scores), scores], 1) if binary else scores
    return scores_nC, label_n.long()
