"""One number per bar from the bar's own state: in-span logit, and countdown to the start."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths


class SpanHeadConfig(HeadConfig):
    """Every bar's logit of lying in a span, independent of its neighbours' given the states."""

    pooled: ClassVar[bool] = False
    kind: Literal["span"] = "span"
    name: str = "span"

    def build(self, widths: Widths) -> BarHead:
        """Makes the module, with freshly drawn parameters."""
        return BarHead(widths)


class CountdownHeadConfig(HeadConfig):
    """Every bar's distance to the start, in the unit of the targets, negative after it; no activation."""

    pooled: ClassVar[bool] = False
    kind: Literal["countdown"] = "countdown"
    name: str = "countdown"

    def build(self, widths: Widths) -> BarHead:
        """Makes the module, with freshly drawn parameters."""
        return BarHead(widths)


class BarHead(Head):
    """Dropout, then one linear layer from a bar's state to a number; padded bars get a meaningless one."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(widths.bar, 1)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns one number per bar, shape (B, K)."""
        number_BK: Tensor = self.linear(self.dropout(states.bars)).squeeze(-1)
        return number_BK
