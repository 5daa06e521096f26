"""The class of a window (what came before the expansion) from the pooled state."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths


class TypeHeadConfig(HeadConfig):
    """Dropout, then one linear layer from the pooled state to `classes` logits; a hidden layer if asked."""

    pooled: ClassVar[bool] = True
    kind: Literal["type"] = "type"
    name: str = "type"
    classes: int = Field(default=3, ge=2)
    hidden: int | None = Field(default=None, ge=1)
    """Width of a layer with ReLU before the dropout; None: no such layer."""

    def build(self, widths: Widths) -> TypeHead:
        """Makes the module, with freshly drawn parameters."""
        return TypeHead(self, widths)


class TypeHead(Head):
    """Logits (B, C) of the window's type; their softmax is the probability."""

    def __init__(self, config: TypeHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.hidden = None if config.hidden is None else nn.Linear(widths.pooled, config.hidden)
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(config.hidden or widths.pooled, config.classes)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns logits, shape (B, C)."""
        seen = states.pooled if self.hidden is None else self.hidden(states.pooled).relu()
        logits_BC: Tensor = self.linear(self.dropout(seen))
        return logits_BC
