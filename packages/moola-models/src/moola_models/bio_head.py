"""In-span marks as a chain of three tags, outside, begin and inside; a run of marks is one span."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from moola_models.chain import Chain
from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths
from moola_models.marks import marks_of
from moola_models.odds import full_precision

OUTSIDE, BEGIN, INSIDE = 0, 1, 2


class BioHeadConfig(HeadConfig):
    """Dropout, one linear layer from a bar's state to three emissions, the chain's parameters."""

    pooled: ClassVar[bool] = False
    kind: Literal["span_bio"] = "span_bio"
    name: str = "span"

    def build(self, widths: Widths) -> BioHead:
        """Makes the module, with freshly drawn parameters."""
        return BioHead(widths)


class BioHead(Head):
    """With targets the log-likelihood of each window's marks; without, the log-odds of each bar in a span.

    A span is a begin and the insides after it. Marks of bars cannot tell spans that touch from one span, so
    an outside bar lies between any two: a run of marks is one span, and the marks' probabilities add up to 1.
    """

    allowed: Tensor
    first: Tensor

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, 3)
        self.start = nn.Parameter(torch.empty(3).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(3, 3).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(3).uniform_(-0.1, 0.1))
        allowed, first = torch.ones(3, 3, dtype=torch.bool), torch.ones(3, dtype=torch.bool)
        allowed[OUTSIDE, INSIDE] = allowed[BEGIN, BEGIN] = allowed[INSIDE, BEGIN] = first[INSIDE] = False
        self.register_buffer("allowed", allowed, persistent=False)
        self.register_buffer("first", first, persistent=False)

    def distribution(self, states: States) -> Chain:
        """The chain over outside (0), begin (1) and inside (2)."""
        return Chain(
            full_precision(self.linear(self.dropout(states.bars))),
            torch.where(self.first, self.start, -torch.inf),
            torch.where(self.allowed, self.transitions, -torch.inf),
            self.end,
            states.lengths,
            True,
        )

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns (B,) log-likelihoods given a target (B, K), else (B, K) log-odds.

        Args:
            states: Of the batch.
            target: In-span marks; a soft mark of 0.5 or more counts as in the span.

        Raises:
            ValueError: If the target has another shape.
        """
        chain = self.distribution(states)
        with torch.autocast(states.bars.device.type, enabled=False):
            if target is not None:
                return chain.log_prob(tags_of_marks(marks_of(target, states.bars)))
            log_BKT = chain.log_marginals()
            return torch.logaddexp(log_BKT[..., BEGIN], log_BKT[..., INSIDE]) - log_BKT[..., OUTSIDE]


def tags_of_marks(marks_BK: Tensor) -> Tensor:
    """Returns tags, int64 (B, K): begin on the first bar of each run of True, inside on its others."""
    before = torch.nn.functional.pad(marks_BK, (1, 0))[:, :-1]
    return torch.where(marks_BK, torch.where(before, INSIDE, BEGIN), OUTSIDE)
