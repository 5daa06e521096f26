"""Cross-entropy against label distributions: its value, its floor and its best constant."""

from __future__ import annotations

import torch
from torch import Tensor

from moola_losses.focal import least_classes
from moola_losses.protocol import LossSum, Reduction, add_up, full_precision, reduced


def soft_label_loss(output: Tensor, labels: Tensor, weights: Tensor, *, reduction: Reduction) -> LossSum:
    """Adds up -sum_c q_c log softmax(output)_c.

    Args:
        output: Logits, (…, C).
        labels: q, each row adding up to 1, (…, C).
        weights: Of the elements, (…).
        reduction: What the weight counts.
    """
    log_p = full_precision(output).log_softmax(-1)
    return add_up(-(labels.to(log_p.dtype) * log_p).sum(-1), weights, reduction=reduction)


def soft_label_floor(labels: Tensor, weights: Tensor, *, reduction: Reduction) -> LossSum:
    """Adds up the entropies of the labels, which no output can beat; arguments as `soft_label_loss`."""
    return add_up(torch.special.entr(labels).sum(-1), weights, reduction=reduction)


def soft_label_constant(labels: Tensor, weights: Tensor, *, reduction: Reduction) -> LossSum:
    """Returns the value of one softmax for all elements, the mean label; arguments as `soft_label_loss`."""
    factors, whole = reduced(weights, reduction=reduction)
    masses = torch.where(weights[..., None] > 0, labels * factors[..., None], 0).flatten(0, -2).sum(0)
    return LossSum(least_classes(masses.double(), gamma=0.0), whole)
