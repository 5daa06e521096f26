"""Focal cross-entropy -(1 - p)^gamma log p (Lin and others 2017, eq. 4) and the least value it can take."""

from __future__ import annotations

import torch
from torch import Tensor

_HALVINGS = 80


def focal_factor(log_p: Tensor, *, gamma: float) -> Tensor:
    """Returns (1 - p)^gamma, which quiets what is already right.

    Args:
        log_p: Log-probability of what happened, at most 0, any shape.
        gamma: At least 0; 0 gives ones.
    """
    if gamma == 0:
        return torch.ones_like(log_p)
    # expm1 keeps 1 - p accurate near p = 1; the clamp keeps the slope of the power finite at 0.
    return (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny) ** gamma


def least_two_class(first: Tensor, second: Tensor, *, gamma: float) -> Tensor:
    """Minimises a phi(p) + b phi(1 - p) over p, with phi(p) = -(1 - p)^gamma log p, element by element.

    phi is convex, so the slope changes sign once and halving an interval of logits finds it. Without gamma
    the least value is the entropy of the two masses.

    Args:
        first: Masses a, at least 0, f64, any shape.
        second: Masses b, the same shape.
        gamma: At least 0.

    Returns:
        The least values, f64, the same shape.

    >>> half = torch.full((1,), 0.5, dtype=torch.float64)
    >>> round(float(least_two_class(half, half, gamma=0.0)), 4)
    0.6931
    >>> float(least_two_class(half, 0 * half, gamma=2.0))
    0.0
    """
    if gamma == 0:
        whole = first + second
        return whole.xlogy(whole) - first.xlogy(first) - second.xlogy(second)
    low, high = torch.full_like(first, -60.0), torch.full_like(first, 60.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        falling = first * _slope(middle, gamma=gamma) < second * _slope(-middle, gamma=gamma)
        low, high = torch.where(falling, middle, low), torch.where(falling, high, middle)
    logit = (low + high) / 2
    value = first * _phi(logit, gamma=gamma) + second * _phi(-logit, gamma=gamma)
    return torch.where((first > 0) & (second > 0), value, 0)


def least_classes(masses: Tensor, *, gamma: float) -> Tensor:
    """Minimises sum_c m_c phi(p_c) over probabilities p, phi as in `least_two_class`.

    At the best p all m_c phi'(p_c) are equal; their common value is found by halving, and every p_c inside.

    Args:
        masses: At least 0, f64 (C,).
        gamma: At least 0.

    Returns:
        The least value, f64 scalar.
    """
    held = masses[masses > 0]
    if len(held) < 2:
        return masses.new_zeros(())
    if gamma == 0:
        whole = held.sum()
        return whole * whole.log() - (held * held.log()).sum()
    low, high = -60.0, 60.0
    for _ in range(8):  # a grid of prices at a time: 64 times narrower at each round
        prices = torch.linspace(low, high, 65, dtype=held.dtype, device=held.device)
        crowded = _share_at(held, prices.exp()[:, None], gamma=gamma).sigmoid().sum(1) > 1
        at = min(int(crowded.sum()), 64)
        low, high = float(prices[max(at - 1, 0)]), float(prices[at])
    logits = _share_at(held, held.new_full((1, 1), (low + high) / 2).exp(), gamma=gamma)
    value: Tensor = (held * _phi(logits, gamma=gamma)).sum()
    return value


def _share_at(masses: Tensor, price: Tensor, *, gamma: float) -> Tensor:
    low = torch.full((len(price), len(masses)), -60.0, dtype=masses.dtype, device=masses.device)
    high = -low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        p = middle.sigmoid()
        # _slope is by logit: phi'(p) p (1 - p).
        worth = -masses * _slope(middle, gamma=gamma) / (p * (-middle).sigmoid()) > price
        low, high = torch.where(worth, middle, low), torch.where(worth, high, middle)
    return (low + high) / 2


def _phi(logit: Tensor, *, gamma: float) -> Tensor:
    return -((-logit).sigmoid() ** gamma) * torch.nn.functional.logsigmoid(logit)


def _slope(logit: Tensor, *, gamma: float) -> Tensor:
    """Slope of phi(sigmoid(logit)) by the logit: (1 - p)^gamma (gamma p log p - (1 - p))."""
    p, q = logit.sigmoid(), (-logit).sigmoid()
    return q**gamma * (gamma * p * torch.nn.functional.logsigmoid(logit) - q)
