"""The in-span marks of a window as one structured output: a linear-chain CRF over two tags."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from moola_models.chain import Chain
from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths
from moola_models.marks import marks_of
from moola_models.odds import full_precision


class CrfHeadConfig(HeadConfig):
    """Dropout, one linear layer from a bar's state to two emissions, eight parameters of the chain."""

    pooled: ClassVar[bool] = False
    kind: Literal["span_crf"] = "span_crf"
    name: str = "span"

    def build(self, widths: Widths) -> CrfHead:
        """Makes the module, with freshly drawn parameters."""
        return CrfHead(widths)


class CrfHead(Head):
    """With targets the log-likelihood of each window's marks; without, the marginal log-odds of each bar.

    So ``sigmoid`` of the output without targets is the in-span probability, as it is for `BarHead`.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, 2)
        self.start = nn.Parameter(torch.empty(2).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(2, 2).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(2).uniform_(-0.1, 0.1))

    def distribution(self, states: States) -> Chain:
        """The distribution over tag sequences: marginals, log-likelihood of any sequence."""
        emissions_BKT = full_precision(self.linear(self.dropout(states.bars)))
        return Chain(emissions_BKT, self.start, self.transitions, self.end, states.lengths)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns (B,) log-likelihoods given a target (B, K), else (B, K) marginal log-odds.

        Args:
            states: Of the batch.
            target: In-span marks; a soft mark of 0.5 or more counts as in the span.

        Raises:
            ValueError: If the target has another shape.
        """
        chain = self.distribution(states)
        # Autocast would take the tree's matrix products to half precision.
        with torch.autocast(states.bars.device.type, enabled=False):
            if target is not None:
                return chain.log_prob(marks_of(target, states.bars).long())
            log_BKT = chain.log_marginals()
            return log_BKT[..., 1] - log_BKT[..., 0]
