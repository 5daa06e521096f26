"""All spans of a window at once, with a learned prior of their durations."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths
from moola_models.marks import marks_of
from moola_models.odds import full_precision, log_odds
from moola_models.semi_markov import SemiMarkov


class SemiMarkovHeadConfig(HeadConfig):
    """Dropout, one linear layer from a bar's state to three scores, a prior of durations."""

    pooled: ClassVar[bool] = False
    kind: Literal["span_semi_markov"] = "span_semi_markov"
    name: str = "span"
    durations: int = Field(default=20, ge=2)
    """Durations with a score of their own; each bar beyond adds one learned score, so that no span is cut."""

    def build(self, widths: Widths) -> SemiMarkovHead:
        """Makes the module, with freshly drawn parameters."""
        return SemiMarkovHead(self, widths)


class SemiMarkovHead(Head):
    """With targets the log-likelihood of each window's marks; without, the log-odds of each bar in a span."""

    def __init__(self, config: SemiMarkovHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, 3)
        self.duration = nn.Parameter(torch.zeros(config.durations))
        self.tail = nn.Parameter(torch.zeros(()))

    def distribution(self, states: States) -> SemiMarkov:
        """The distribution over sets of spans."""
        start, end, inside = full_precision(self.linear(self.dropout(states.bars))).unbind(2)
        return SemiMarkov(start, end, inside, self.duration, self.tail, states.lengths)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns (B,) log-likelihoods given a target (B, K), else (B, K) log-odds.

        Args:
            states: Of the batch.
            target: In-span marks; a soft mark of 0.5 or more counts as in the span.

        Raises:
            ValueError: If the target has another shape.
        """
        spans = self.distribution(states)
        if target is not None:
            return spans.log_prob(marks_of(target, states.bars))
        # A rare span is a small difference from 1, which 32 bits cannot hold.
        start, end, inside = spans.start.double(), spans.end.double(), spans.inside.double()
        exact = SemiMarkov(start, end, inside, spans.duration.double(), spans.tail.double(), spans.lengths)
        return -log_odds(exact.log_outside()).to(spans.inside.dtype)
