"""A small transformer over the bars of a window, of torch's own layers.

B batch, K bars, F features, R width of a bar's state.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_models.encoders import Encoder, EncoderConfig, Sizes, blank_padding, valid_bars


class TransformerConfig(EncoderConfig):
    """Self-attention over all bars, norm first, with sinusoidal positions (Vaswani et al. 2017).

    `layer_dropout` acts in every layer: on the attention weights and after both of its halves.
    """

    kind: Literal["transformer"] = "transformer"
    attention_heads: int = Field(default=4, ge=1)
    """They share the width of a bar's state, twice `hidden`, evenly."""
    feedforward: int = Field(default=256, ge=1)
    """Width inside the second half of a layer."""

    def check(self, sizes: Sizes) -> None:
        """Raises ValueError if the attention heads cannot share the width evenly."""
        if sizes.width % self.attention_heads:
            raise ValueError(
                f"attention_heads: want a divisor of {sizes.width} (twice hidden), got {self.attention_heads}"
            )

    def layer_patterns(self, layers: int) -> tuple[tuple[str, ...], ...]:
        """Globs of the parameter names of every layer; inlet with the first, last norm with the last."""
        own = [[f"encoder.layers.{layer}.*"] for layer in range(layers)]
        own[0].insert(0, "encoder.inlet.*")
        own[-1].append("encoder.norm.*")
        return tuple(tuple(globs) for globs in own)

    def build(self, sizes: Sizes) -> Transformer:
        """Makes the module, with freshly drawn parameters."""
        return Transformer(self, sizes)


class Transformer(Encoder):
    """A linear layer to the width, positions added, the layers, a last LayerNorm."""

    def __init__(self, config: TransformerConfig, sizes: Sizes) -> None:
        super().__init__()
        self.inlet = nn.Linear(sizes.features, sizes.width)
        # Made one by one: nn.TransformerEncoder copies one layer, and all would start with equal weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                sizes.width,
                config.attention_heads,
                config.feedforward,
                sizes.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(sizes.layers)
        )
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, x_BKF: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns z_BKR; zeros at padded bars."""
        x_BKF = blank_padding(x_BKF, lengths)
        padded_BK = None if lengths is None else ~valid_bars(x_BKF, lengths)
        state_BKR = self.inlet(x_BKF)
        state_BKR = state_BKR + positions(x_BKF.shape[1], width=state_BKR.shape[2]).to(state_BKR)
        for layer in self.layers:
            state_BKR = layer(state_BKR, src_key_padding_mask=padded_BK)
        return blank_padding(self.norm(state_BKR), lengths)


def positions(bars: int, *, width: int) -> Tensor:
    """Sines and cosines of a bar's place, periods of 2 pi to 20,000 pi bars, f4 (bars, width); width is even.

    >>> positions(3, width=4)[0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(bars)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1)
