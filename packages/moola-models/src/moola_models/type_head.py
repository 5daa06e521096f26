"""The class of a window (what came before the expansion) from the pooled state."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from moola_models.heads import Head, HeadConfig, States, Widths


class TypeHeadConfig(HeadConfig):
    """Dropout, then one linear layer from the pooled state to `classes` logits."""

    pooled: ClassVar[bool] = True
    kind: Literal["type"] = "type"
    name: str = "type"
    classes: int = Field(default=3, ge=2)

    def build(self, widths: Widths) -> TypeHead:
        """Makes the module, with freshly drawn parameters."""
        return TypeHead(self, widths)


class TypeHead(Head):
    """Logits (B, C) of the window's type; their softmax is the probability."""

    def __init__(self, config: TypeHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.dropout = nn.Dropout(widths.dropout)
        self.linear = nn.Linear(widths.pooled, config.classes)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns logits, shape (B, C)."""
        logits_BC: Tensor = self.linear(self.dropout(states.pooled))
        return logits_BC
