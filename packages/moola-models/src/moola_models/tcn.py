"""A temporal convolutional network: residual blocks whose view of the window doubles with every layer.

After Bai, Kolter & Koltun (2018), but looking both ways, as the LSTM does, and with one normalised
convolution a block. B batch, K bars, F features, R width of a bar's state.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from moola_models.encoders import Encoder, EncoderConfig, Sizes, blank_padding


class TcnConfig(EncoderConfig):
    """Dilated convolutions; block l = 0, 1, … looks (kernel - 1) / 2 · 2^l bars to either side.

    So n blocks of kernel 3 see 2^n - 1 bars on each side: six of them 63. `layer_dropout` acts in every
    block.
    """

    kind: Literal["tcn"] = "tcn"
    kernel: int = Field(default=3, ge=3)
    """Bars a convolution looks at; odd."""

    @field_validator("kernel")
    @classmethod
    def _kernel_has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"want an odd number, got {kernel}: the bar itself is the middle")
        return kernel

    def check(self, sizes: Sizes) -> None:
        """Any size will do."""

    def layer_patterns(self, layers: int) -> tuple[tuple[str, ...], ...]:
        """Globs of the parameter names of every block; inlet with the first, last norm with the last."""
        own = [[f"encoder.blocks.{layer}.*"] for layer in range(layers)]
        own[0].insert(0, "encoder.inlet.*")
        own[-1].append("encoder.norm.*")
        return tuple(tuple(globs) for globs in own)

    def build(self, sizes: Sizes) -> Tcn:
        """Makes the module, with freshly drawn parameters."""
        return Tcn(self, sizes)


class Block(nn.Module):
    """x + Dropout(GELU(Conv(LayerNorm(x)))), over the bars of each window."""

    def __init__(self, sizes: Sizes, *, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.width)
        self.convolution = nn.Conv1d(
            sizes.width, sizes.width, kernel, dilation=dilation, padding=dilation * (kernel // 2)
        )
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x_BKR: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns states of the same shape."""
        seen_BRK = blank_padding(self.norm(x_BKR), lengths).transpose(1, 2)
        added_BRK: Tensor = self.dropout(nn.functional.gelu(self.convolution(seen_BRK)))
        return x_BKR + added_BRK.transpose(1, 2)


class Tcn(Encoder):
    """A linear layer to the width, the blocks, a last LayerNorm."""

    def __init__(self, config: TcnConfig, sizes: Sizes) -> None:
        super().__init__()
        self.inlet = nn.Linear(sizes.features, sizes.width)
        self.blocks = nn.ModuleList(
            Block(sizes, kernel=config.kernel, dilation=2**layer) for layer in range(sizes.layers)
        )
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, x_BKF: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns z_BKR; zeros at padded bars."""
        state_BKR = self.inlet(x_BKF)
        for block in self.blocks:
            state_BKR = block(state_BKR, lengths)
        return blank_padding(self.norm(state_BKR), lengths)
