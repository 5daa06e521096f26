"""Centre and length of a window's expansion, regressed from the pooled state.

Pooling averages the position away, so this head localises badly: it is kept because the first system had it,
and as a task of its own weight.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from moola_models.dropout import Dropout
from moola_models.heads import Head, HeadConfig, States, Widths


class PointersHeadConfig(HeadConfig):
    """Dropout, one linear layer from the pooled state to two numbers, sigmoid; a hidden layer if asked."""

    pooled: ClassVar[bool] = True
    kind: Literal["pointers"] = "pointers"
    name: str = "pointers"
    hidden: int | None = Field(default=None, ge=1)
    """Width of a layer with ReLU before the dropout; None: no such layer."""

    def build(self, widths: Widths) -> PointersHead:
        """Makes the module, with freshly drawn parameters."""
        return PointersHead(self, widths)


class PointersHead(Head):
    """(B, 2) in (0, 1): centre and length as fractions, in the unit of the targets it is trained on."""

    def __init__(self, config: PointersHeadConfig, widths: Widths) -> None:
        super().__init__()
        self.hidden = None if config.hidden is None else nn.Linear(widths.pooled, config.hidden)
        self.dropout = Dropout(widths.dropout)
        self.linear = nn.Linear(config.hidden or widths.pooled, 2)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns centre and length, shape (B, 2), each in (0, 1)."""
        seen = states.pooled if self.hidden is None else self.hidden(states.pooled).relu()
        pointers_B2: Tensor = self.linear(self.dropout(seen)).sigmoid()
        return pointers_B2
