"""Conditions a vector on the date, the currency and the type of an entry: FiLM.

B batch, H width of the vector, D date features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Film(nn.Module):
    """x · (1 + gamma) + beta, gamma and beta linear in what the entry is conditioned on.

    Perez and others (2018). Both start at 0: an entry's text goes through unchanged until the date, the
    currency or the type is worth something. Dates have to be of the order of 1 (sines, cosines, flags).

    Args:
        width: H.
        dates: D; 0 for none.
        currencies: How many numbers currencies have, 0 for the unknown one included.
        kinds: Likewise of entry types.
    """

    def __init__(self, width: int, *, dates: int, currencies: int, kinds: int) -> None:
        super().__init__()
        hidden = max(16, width // 4)
        self.date = nn.Sequential(nn.Linear(dates, hidden), nn.ReLU()) if dates else None
        self.currency = nn.Embedding(currencies, 8)
        self.kind = nn.Embedding(kinds, 8)
        self.shift = nn.Linear((hidden if dates else 0) + 16, 2 * width)
        nn.init.zeros_(self.shift.weight)
        nn.init.zeros_(self.shift.bias)

    def forward(self, x_BH: Tensor, dates_BD: Tensor, currency_B: Tensor, kind_B: Tensor) -> Tensor:
        """Conditions the vectors.

        Args:
            x_BH: The vectors.
            dates_BD: Date features.
            currency_B: int64, 0 where unknown.
            kind_B: int64, 0 where unknown.

        Returns:
            (B, H).
        """
        known = [self.currency(currency_B), self.kind(kind_B)]
        if self.date is not None:
            known.append(self.date(dates_BD.to(self.shift.weight.dtype)))
        gamma_BH, beta_BH = self.shift(torch.cat(known, 1)).chunk(2, 1)
        conditioned_BH: Tensor = x_BH * (1 + gamma_BH) + beta_BH
        return conditioned_BH
