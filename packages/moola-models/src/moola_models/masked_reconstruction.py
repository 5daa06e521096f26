"""Pretraining without labels: bars are hidden from an encoder, which has to tell what they were.

Hidden bars are replaced before the encoder sees anything, so no output depends on their values. How little
error is possible is known in advance where fresh noise is added: see `least_error`.

B batch, K bars, F features, R width of a bar's state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from moola_models.masking import Masking, draw_hidden


class Encodes(Protocol):
    """What can be pretrained: `Jade`, or any module with this method."""

    def encode(self, x_BKF: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Returns the states z_BKR."""
        ...


class Reconstruction(NamedTuple):
    """What a pretraining step gives; sums and counts, so that parts of a batch can be added up.

    Attributes:
        reconstruction: (B, 2): summed Huber loss of each window's hidden numbers, and how many they are.
        absolute: (B, 2): the same with the absolute error, without gradient; both in units of `scale`.
    """

    reconstruction: Tensor
    absolute: Tensor


class MaskedReconstruction(nn.Module):
    """Wraps an encoder with a token for hidden bars and a linear layer back to features.

    While training, each call draws a mask and noise from torch's random state; in evaluation mode the mask is
    the same at every call (`seed`) and there is no noise, so epochs can be compared.

    As a task of a training loop: the model's output "reconstruction", the loss `summed_loss`, and as target
    the bars that count, bool (n, K).

    Args:
        encoder: Its `encode` is trained in place; use it, or its saved weights, afterwards.
        scale: What counts as one unit of error in each feature, (F,); see `feature_scale`.
        width: Width R of the encoder's states.
        masking: Which bars are hidden.
        jitter: Standard deviation of the noise that training adds to every bar, before it is hidden and as
            target alike, in units of `scale`.
        seed: Of the first values of the linear layer, and of masks in evaluation mode.

    Raises:
        TypeError: If the encoder has no `encode`.
        ValueError: If the scale has an entry that is not above 0, or jitter is negative.
    """

    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        scale: Tensor,
        *,
        width: int,
        masking: Masking | None = None,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not callable(getattr(encoder, "encode", None)):
            raise TypeError(f"encoder: want a module with encode(x_BKF), got {type(encoder).__name__}")
        if scale.ndim != 1 or not bool((scale > 0).all()):
            raise ValueError(f"scale: want (F,) numbers above 0, got {scale.tolist()}")
        if not jitter >= 0:
            raise ValueError(f"jitter: want 0 or more, got {jitter}")
        self.encoder = encoder
        self.masking = Masking() if masking is None else masking
        self.jitter = jitter
        self.seed = seed
        self.register_buffer("scale", scale.detach().clone())
        # Learned, so that a hidden bar can be told from a bar of zeros.
        self.token = nn.Parameter(torch.zeros(len(scale)))
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(seed)
            self.readout = nn.Linear(width, len(scale))

    def predict(self, x_BKF: Tensor, hidden_BK: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Returns what every bar is thought to be, (B, K, F), in the features' units.

        Args:
            x_BKF: Features; what stands at hidden bars does not matter.
            hidden_BK: bool, the bars not to be seen.
            lengths: Valid leading bars, (B,) int64; None: all.
        """
        seen_BKF = torch.where(hidden_BK[:, :, None], self.token.to(x_BKF.dtype), x_BKF)
        z_BKR = cast(Encodes, self.encoder).encode(seen_BKF, lengths=lengths)
        predicted: Tensor = self.readout(z_BKR).float() * self.scale
        return predicted

    def forward(
        self,
        x_BKF: Tensor,
        *,
        targets: Mapping[str, Tensor] | None = None,
        lengths: Tensor | None = None,
    ) -> Reconstruction:
        """Hides bars, reconstructs them, and sums the errors of the hidden ones.

        Args:
            x_BKF: Features.
            targets: ``targets["reconstruction"]`` is bool (B, K), the bars that may be hidden and count;
                without it, all. Bars that do not count are still seen by the encoder.
            lengths: Valid leading bars, (B,) int64; None: all. Padded bars are never hidden and never count.

        Raises:
            ValueError: If the features are not as many as `scale` has.
        """
        if x_BKF.ndim != 3 or x_BKF.shape[2] != len(self.scale):
            raise ValueError(f"x_BKF: want shape (batch, bars, {len(self.scale)}), got {tuple(x_BKF.shape)}")
        B, K, _ = x_BKF.shape
        valid_BK = torch.ones(B, K, dtype=torch.bool, device=x_BKF.device)
        if targets is not None and "reconstruction" in targets:
            valid_BK = targets["reconstruction"].bool()
        if lengths is not None:
            valid_BK = valid_BK & (torch.arange(K, device=x_BKF.device) < lengths.to(x_BKF.device)[:, None])
        if self.training and self.jitter > 0:
            x_BKF = x_BKF + self.jitter * self.scale.to(x_BKF.dtype) * torch.randn_like(x_BKF)
        hidden_BK = draw_hidden(valid_BK, self.masking, seed=None if self.training else self.seed)
        predicted_BKF = self.predict(x_BKF, hidden_BK, lengths=lengths)
        # What stands in bars that do not count may be anything, NaN included: it must not reach the gradient.
        wanted_BKF = torch.where(hidden_BK[:, :, None], x_BKF.float(), predicted_BKF.detach())
        error_BKF = (predicted_BKF - wanted_BKF) / self.scale
        huber_BKF = nn.functional.huber_loss(error_BKF, torch.zeros_like(error_BKF), reduction="none")
        hidden_BKF = hidden_BK[:, :, None].expand_as(error_BKF)
        count_B = hidden_BKF.sum((1, 2)).to(error_BKF.dtype)
        return Reconstruction(
            torch.stack([(huber_BKF * hidden_BKF).sum((1, 2)), count_B], 1),
            torch.stack([(error_BKF.detach().abs() * hidden_BKF).sum((1, 2)), count_B], 1),
        )


def feature_scale(x_nKF: Tensor, valid_nK: Tensor | None = None, *, least: float) -> Tensor:
    """Returns each feature's standard deviation over valid bars, (F,), held at `least` from below.

    A feature that is constant, or moves by less than matters, would otherwise be divided by next to nothing
    and drown the others. Take as `least` a difference that means nothing, such as the noise one would add.

    Raises:
        ValueError: If `least` is not above 0, no bar is valid, or a valid number is not finite.
    """
    if not least > 0:
        raise ValueError(f"least: want more than 0, got {least}")
    rows_mF = x_nKF.reshape(-1, x_nKF.shape[-1]) if valid_nK is None else x_nKF[valid_nK]
    if len(rows_mF) == 0:
        raise ValueError("valid_nK: want at least one valid bar, got none")
    if not bool(rows_mF.isfinite().all()):
        bad = int((~rows_mF.isfinite()).any(1).nonzero()[0, 0])
        raise ValueError(
            f"x_nKF: want finite numbers at valid bars, got {rows_mF[bad].tolist()} in bar {bad}"
        )
    return rows_mF.double().std(0, correction=0).clamp(min=least).to(torch.float32)


def least_error(jitter: float) -> float:
    """Returns the least mean absolute error of hidden numbers that carry Gaussian noise of this deviation.

    Nobody can foresee the noise, and the median of what is left is the best guess: the mean absolute value of
    a Gaussian is its deviation times sqrt(2 / pi). A smaller error while training means that the hidden
    values were seen.

    >>> round(least_error(0.03), 4)
    0.0239
    """
    return jitter * math.sqrt(2 / math.pi)


def summed_loss(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Adds up per-window sums and counts: the loss of every pretraining task of this package.

    Args:
        output: (B, 2): a window's summed loss, and how much there was to sum.
        target: Not read; the model had it.
        mask: bool (B, ...): windows with no True at all are left out.
        weight: (B,): how much a window counts.

    Returns:
        (weighted sum, weight), two scalars; their quotient is the loss.
    """
    kept_B = weight * mask.reshape(len(mask), -1).any(1)
    total_2 = (output * kept_B[:, None]).sum(0)
    return total_2[0], total_2[1]
