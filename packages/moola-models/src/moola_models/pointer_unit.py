"""Centre and length of a span: in bars, and as the two fractions that pointer heads give.

=======  ==================  ===============
unit     centre              length
=======  ==================  ===============
origin   (s + e) / 2 / K     (e - s) / K
exact    (s + e) / 2 / (K-1) (e - s + 1) / K
=======  ==================  ===============

of a span (s, e), both inclusive, in a window of K bars. "origin" is what the first system trained on.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

PointerUnit = Literal["origin", "exact"]


def bars_of(states_BKR: Tensor, lengths: Tensor | None) -> Tensor:
    """Bars K of each window, float (B,) on the states' device."""
    B, K, _ = states_BKR.shape
    if lengths is None:
        # As a float, K would be a constant of an exported program.
        return torch.full((B,), K, dtype=torch.float32, device=states_BKR.device)
    return lengths.to(states_BKR.device).float()


def to_fractions(centre_B: Tensor, length_B: Tensor, bars_B: Tensor, *, unit: PointerUnit) -> Tensor:
    """Turns centre (s + e) / 2 and length e - s + 1 in bars into fractions of a window, (B, 2).

    >>> to_fractions(torch.tensor([57.5]), torch.tensor([16.0]), torch.tensor([105.0]), unit="origin")
    tensor([[0.5476, 0.1429]])
    """
    if unit == "origin":
        return torch.stack([centre_B / bars_B, (length_B - 1) / bars_B], 1)
    # A window of one bar has its centre on bar 0, whatever it is divided by.
    return torch.stack([centre_B / (bars_B - 1).clamp(min=1), length_B / bars_B], 1)


def to_bars(fractions_B2: Tensor, bars_B: Tensor, *, unit: PointerUnit) -> tuple[Tensor, Tensor]:
    """Turns fractions into first and last bar, int64 (B,) each, rounded and held inside the window.

    >>> start, end = to_bars(torch.tensor([[0.5476, 0.1429]]), torch.tensor([105.0]), unit="origin")
    >>> start.item(), end.item()
    (50, 65)
    """
    centre_B, length_B = fractions_B2.to(bars_B.dtype).unbind(1)
    if unit == "origin":
        middle_B, reach_B = centre_B * bars_B, length_B * bars_B / 2
    else:
        middle_B, reach_B = centre_B * (bars_B - 1).clamp(min=1), (length_B * bars_B - 1) / 2
    last_B = bars_B - 1
    start_B = torch.minimum((middle_B - reach_B).round().clamp(min=0), last_B)
    end_B = torch.maximum(torch.minimum((middle_B + reach_B).round(), last_B), start_B)
    return start_B.long(), end_B.long()
