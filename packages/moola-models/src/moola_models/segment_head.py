"""The one span of a window, or none, from per-bar scores of starting, ending and lying in it."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths
from moola_models.marks import marks_of
from moola_models.odds import full_precision, log_odds
from moola_models.segment import Segment


class SegmentHeadConfig(HeadConfig):
    """Dropout, one linear layer from a bar's state to three scores, one score of no span."""

    pooled: ClassVar[bool] = False
    kind: Literal["span_segment"] = "span_segment"
    name: str = "span"

    def build(self, widths: Widths) -> SegmentHead:
        """Makes the module, with freshly drawn parameters."""
        return SegmentHead(widths)


class SegmentHead(Head):
    """With targets the log-likelihood of each window's span; without, the log-odds of each bar in it.

    A window with several marked runs asks for any one of them, one without marks for no span.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, 3)
        self.empty = nn.Parameter(torch.zeros(()))

    def distribution(self, states: States) -> Segment:
        """The distribution over spans."""
        start, end, inside = full_precision(self.linear(self.dropout(states.bars))).unbind(2)
        return Segment(start, end, inside, self.empty, states.lengths)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns (B,) log-likelihoods given a target (B, K), else (B, K) log-odds.

        Args:
            states: Of the batch.
            target: In-span marks; a soft mark of 0.5 or more counts as in the span.

        Raises:
            ValueError: If the target has another shape.
        """
        segment = self.distribution(states)
        if target is not None:
            return segment.log_prob_of_marks(marks_of(target, states.bars))
        return log_odds(segment.log_marginals())
