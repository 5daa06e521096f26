"""One countdown a window instead of one a bar: the place of the expansion's start, from the pooled state.

The first system's plan for its stalled countdown, so that the task has one output like the others. Pooling
averages the position away, so it can say little; the per-bar heads know more.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths


class ScalarCountdownHeadConfig(HeadConfig):
    """Dropout, one linear layer from the pooled state to one number."""

    pooled: ClassVar[bool] = True
    kind: Literal["countdown_scalar"] = "countdown_scalar"
    name: str = "countdown"

    def build(self, widths: Widths) -> ScalarCountdownHead:
        """Makes the module, with freshly drawn parameters."""
        return ScalarCountdownHead(widths)


class ScalarCountdownHead(Head):
    """(B,): bars from the window's first to the start, in the unit of the targets; no activation."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.pooled, 1)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns one number a window, shape (B,)."""
        number_B: Tensor = self.linear(self.dropout(states.pooled)).squeeze(-1)
        return number_B
