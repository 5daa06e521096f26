"""The LSTM, in both directions unless asked otherwise, with a convolution before it if asked.

B batch, K bars, F features, R width of a bar's state.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from moola_models.encoders import EncoderConfig, Sizes, blank_padding


class StemConfig(BaseModel):
    """One convolution over neighbouring bars and a GELU, before the first LSTM layer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=32, ge=1)
    """Numbers a bar has after it."""
    kernel: int = Field(default=5, ge=1)
    """Bars it looks at, the bar itself in the middle."""

    @field_validator("kernel")
    @classmethod
    def _kernel_has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"want an odd number, got {kernel}: the bar itself is the middle")
        return kernel


class LstmConfig(EncoderConfig):
    """`torch.nn.LSTM`; `layer_dropout` acts between stacked layers."""

    drops_inside_layers: ClassVar[bool] = False
    kind: Literal["lstm"] = "lstm"
    directions: Literal["both", "forward"] = "both"
    """With "forward" a bar's state knows no later bar, and its one direction has the whole width."""
    stem: StemConfig | None = None

    def check(self, sizes: Sizes) -> None:
        """Any size will do."""

    def layer_patterns(self, layers: int) -> tuple[tuple[str, ...], ...]:
        """Globs of the parameter names of every layer; the stem goes with the first."""
        back = [f"lstm.*_l{layer}_reverse" for layer in range(layers if self.directions == "both" else 0)]
        own = [(f"lstm.*_l{layer}", *back[layer : layer + 1]) for layer in range(layers)]
        return (("stem.*", *own[0]), *own[1:]) if self.stem else tuple(own)

    def build_stem(self, features: int) -> Stem | None:
        """Makes the convolution, if one is asked for."""
        return None if self.stem is None else Stem(self.stem, features)

    def build_lstm(self, sizes: Sizes) -> nn.LSTM:
        """Makes the LSTM."""
        return nn.LSTM(
            sizes.features if self.stem is None else self.stem.width,
            sizes.width // 2 if self.directions == "both" else sizes.width,
            num_layers=sizes.layers,
            dropout=sizes.dropout,
            batch_first=True,
            bidirectional=self.directions == "both",
        )


class Stem(nn.Module):
    """Lets every bar see its neighbours before the recurrence starts."""

    def __init__(self, config: StemConfig, features: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(features, config.width, config.kernel, padding=config.kernel // 2)

    def forward(self, x_BKF: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns (B, K, width); what stands in padded bars is not seen by the others."""
        seen_BFK = blank_padding(x_BKF, lengths).transpose(1, 2)
        return nn.functional.gelu(self.convolution(seen_BFK)).transpose(1, 2)


def run_lstm(lstm: nn.LSTM, x_BKF: Tensor, lengths: Tensor | None) -> Tensor:
    """Runs an LSTM (batch first) over the valid bars of each window; zeros at the others.

    Args:
        lstm: The module itself, so that its weights keep torch's names.
        x_BKF: Features.
        lengths: Valid leading bars of each window, (B,) int64 in 1..K; None: all K.

    Returns:
        The states z_BKR.
    """
    if lengths is None:
        z_BKR: Tensor = lstm(x_BKF)[0]
        return z_BKR
    # Unlike a mask, packing lets the backward direction start at the last valid bar.
    packed = pack_padded_sequence(x_BKF, lengths.cpu(), batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=x_BKF.shape[1])
    return states
