"""A head: the logit of a bar from its own state and those of its neighbours."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from moola_models.heads import Head, HeadConfig, States, Widths


class NeighboursHeadConfig(HeadConfig):
    """Logits per bar, (B, K), from `reach` bars to either side."""

    pooled: ClassVar[bool] = False
    kind: Literal["example_neighbours"] = "example_neighbours"
    name: str = "span"
    reach: Annotated[int, Field(ge=0)] = 1

    def build(self, widths: Widths) -> NeighboursHead:
        """Makes the module."""
        return NeighboursHead(widths, reach=self.reach)


class NeighboursHead(Head):
    """One convolution over the bars; what lies outside the window counts as zeros, and so do padded bars."""

    def __init__(self, widths: Widths, *, reach: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(widths.bar, 1, 2 * reach + 1, padding=reach)

    def forward(self, states: States, target: Tensor | None = None) -> Tensor:
        """Returns the logits; the target is not looked at."""
        logit_BK: Tensor = self.convolution(states.bars.transpose(1, 2))[:, 0]
        return logit_BK
