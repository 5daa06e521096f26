"""Numbers that structured heads hand out: log-odds from log-probabilities, in enough digits."""

from __future__ import annotations

import torch
from torch import Tensor


def log_odds(log_probability: Tensor) -> Tensor:
    """Returns log p - log(1 - p) from log p; p is held one rounding step away from 1.

    >>> round(float(log_odds(torch.tensor(0.2).log()).sigmoid()), 6)
    0.2
    """
    held = log_probability.clamp(max=-torch.finfo(log_probability.dtype).eps)
    return log_probability - torch.log(-torch.expm1(held))


def full_precision(scores: Tensor) -> Tensor:
    """Returns scores in at least 32 bits: half precision has too few digits for sums over a hundred bars."""
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
