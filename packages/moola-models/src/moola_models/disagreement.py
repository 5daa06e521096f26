"""How far the passes of Monte Carlo dropout, or the members of an ensemble, agree on a probability.

The entropy of the mean prediction splits into what every pass is unsure of and what they disagree about
(Houlsby et al. 2011; Depeweg et al. 2018): only the second shrinks with more data.

S passes or members; the other axes are free.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Disagreement(NamedTuple):
    """Mean and spread over the passes; entropies in nats.

    Attributes:
        mean: Mean probability, without the axis of passes.
        deviation: Standard deviation over the passes, divisor S; 0 for one pass.
        entropy: Of the mean probability; without the class axis for classes.
        information: Mutual information of prediction and pass, 0 <= information <= entropy: 0 if all agree.
    """

    mean: Tensor
    deviation: Tensor
    entropy: Tensor
    information: Tensor


def disagreement_of_bars(probability: Tensor) -> Disagreement:
    """Of probabilities of yes or no, such as ``drawn.span.sigmoid()``: (S, …) to (…).

    Raises:
        ValueError: If there is no pass or a number is no probability.

    >>> sure = disagreement_of_bars(torch.tensor([[0.0], [1.0]]))  # two passes, each sure, that contradict
    >>> round(float(sure.entropy), 4), round(float(sure.information), 4)  # ln 2, all of it disagreement
    (0.6931, 0.6931)
    """
    both = torch.stack([1 - probability, probability], -1)
    _, _, entropy, information = disagreement_of_classes(both)
    return Disagreement(probability.mean(0), probability.std(0, correction=0), entropy, information)


def disagreement_of_classes(probability: Tensor) -> Disagreement:
    """Of class probabilities, such as ``drawn.type.softmax(-1)``: (S, …, C) to (…, C), entropies (…).

    Raises:
        ValueError: If there is no pass or a number is no probability.
    """
    if probability.ndim < 2 or not len(probability):
        raise ValueError(f"probability: want a first axis of passes, got shape {tuple(probability.shape)}")
    # A nan fails the comparison too.
    if not bool(((probability >= 0) & (probability <= 1)).all()):
        raise ValueError("probability: want numbers in 0..1, got others; apply sigmoid or softmax to logits")
    mean = probability.mean(0)
    entropy = _entropy(mean)
    information = (entropy - _entropy(probability).mean(0)).clamp(min=0)
    return Disagreement(mean, probability.std(0, correction=0), entropy, information)


def _entropy(probability: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(probability).sum(-1)
    return entropy
