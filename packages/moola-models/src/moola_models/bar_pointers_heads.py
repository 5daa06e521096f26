"""Centre and length of a window's expansion from the states of its bars: where the bars are is still known.

Two ways: a soft argmax, which is a number like the pooled head's and trains on the same losses, and a
distribution over both ends, which trains on its likelihood and can be decoded. B batch, K bars.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.encoders import valid_bars
from moola_models.ends import Ends
from moola_models.heads import Head, HeadConfig, States, Widths
from moola_models.odds import full_precision
from moola_models.pointer_unit import PointerUnit, bars_of, to_bars, to_fractions


class SoftPointersHeadConfig(HeadConfig):
    """Dropout; a score a bar, whose softmax weighs places and states; the length from the weighed state."""

    pooled: ClassVar[bool] = False
    kind: Literal["pointers_soft"] = "pointers_soft"
    name: str = "pointers"
    unit: PointerUnit = "origin"
    """What the fractions mean; that of the targets."""

    def build(self, widths: Widths) -> SoftPointersHead:
        """Makes the module, with freshly drawn parameters."""
        return SoftPointersHead(self, widths)


class SoftPointersHead(Head):
    """(B, 2) fractions: the centre is the mean place under the softmax, the length a sigmoid."""

    def __init__(self, config: SoftPointersHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.unit: PointerUnit = config.unit
        self.dropout = Dropout(widths.dropout)
        self.place = nn.Linear(widths.bar, 1)
        self.length = nn.Linear(widths.bar, 1)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns centre and length as fractions of the window, shape (B, 2), each in [0, 1]."""
        seen_BKR = self.dropout(states.bars)
        score_BK = full_precision(self.place(seen_BKR).squeeze(-1))
        if states.lengths is not None:
            score_BK = score_BK.masked_fill(~valid_bars(score_BK, states.lengths), -torch.inf)
        share_BK = score_BK.softmax(1)
        position_K = torch.arange(share_BK.shape[1], device=share_BK.device, dtype=share_BK.dtype)
        centre_B = share_BK @ position_K
        weighed_BR = (share_BK[:, :, None] * seen_BKR).sum(1)
        length_B = full_precision(self.length(weighed_BR).squeeze(-1)).sigmoid()
        bars_B = bars_of(states.bars, states.lengths)
        centre_B = to_fractions(centre_B, length_B, bars_B, unit=self.unit)[:, 0]
        return torch.stack([centre_B, length_B], 1)


class EndPointersHeadConfig(HeadConfig):
    """Dropout, one linear layer from a bar's state to its scores as the first and the last bar."""

    pooled: ClassVar[bool] = False
    kind: Literal["pointers_ends"] = "pointers_ends"
    name: str = "pointers"
    unit: PointerUnit = "origin"
    """What the fractions mean; that of the targets."""

    def build(self, widths: Widths) -> EndPointersHead:
        """Makes the module, with freshly drawn parameters."""
        return EndPointersHead(self, widths)


class EndPointersHead(Head):
    """With targets the log-likelihood of each window's span; without, the expected centre and length."""

    def __init__(self, config: EndPointersHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.unit: PointerUnit = config.unit
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, 2)

    def distribution(self, states: States) -> Ends:
        """The distribution over (first bar, last bar); `Ends.best` decodes it."""
        start_BK, end_BK = full_precision(self.linear(self.dropout(states.bars))).unbind(2)
        return Ends(start_BK, end_BK, states.lengths)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns (B,) log-likelihoods given a target, else (B, 2) fractions of the window, in [0, 1].

        Args:
            states: Of the batch.
            target: Centre and length as fractions, (B, 2). A window with nan in it gets 0 and no gradient.
        """
        ends = self.distribution(states)
        bars_B = bars_of(states.bars, states.lengths).to(ends.start.dtype)
        if target is None:
            start_B, end_B = ends.mean()
            return to_fractions((start_B + end_B) / 2, end_B - start_B + 1, bars_B, unit=self.unit)
        known_B = target.isfinite().all(1)
        start_B, end_B = to_bars(torch.where(known_B[:, None], target, 0.0), bars_B, unit=self.unit)
        return torch.where(known_B, ends.log_prob(start_B, end_B), 0.0)
