"""What an encoder is: a module from a window's features to one state per bar, and its configuration.

The sizes that every encoder has (width, layers, dropout) stand in `JadeConfig`, so that a study which swaps
the encoder changes one field; what only one of them has stands in that encoder's own configuration.

B batch, K bars, F features, R width of a bar's state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn


class Sizes(NamedTuple):
    """What an encoder is built for: features of a bar, width of a bar's state, layers, dropout rate."""

    features: int
    width: int
    layers: int
    dropout: float


class Encoder(nn.Module, ABC):
    """Turns features into states; bars beyond a window's length change nothing and get zeros."""

    @abstractmethod
    def forward(self, x_BKF: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns z_BKR; `lengths` (B,) int64 counts the valid leading bars of each window."""


class EncoderConfig(BaseModel, ABC):
    """Says which encoder a network gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    drops_inside_layers: ClassVar[bool] = True
    """Whether `layer_dropout` acts within a layer, and so in a single one too."""

    kind: str

    @abstractmethod
    def check(self, sizes: Sizes) -> None:
        """Raises ValueError if the encoder cannot have these sizes."""

    @abstractmethod
    def layer_patterns(self, layers: int) -> tuple[tuple[str, ...], ...]:
        """Globs of the parameter names of every layer, the one next to the features first."""


def valid_bars(like: Tensor, lengths: Tensor) -> Tensor:
    """True where a bar belongs to its window, bool (B, K), for a tensor (B, K, …) on its device."""
    return torch.arange(like.shape[1], device=like.device) < lengths.to(like.device)[:, None]


def blank_padding(x_BKF: Tensor, lengths: Tensor | None) -> Tensor:
    """The same with zeros in padded bars: what a convolution would meet beyond the window's edge."""
    if lengths is None:
        return x_BKF
    return torch.where(valid_bars(x_BKF, lengths)[:, :, None], x_BKF, 0.0)
