"""Pretraining without labels: two altered views of a window shall be more alike than those of two windows.

The loss is the normalised-temperature cross-entropy of Chen et al. (2020, SimCLR). Windows cut from one
stream overlap, and two that share bars are no different windows: such pairs are left out of the comparison.

B batch, K bars, F features, D width of a view's vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from moola_models.masked_reconstruction import Encodes
from moola_models.masking import Masking, draw_hidden

View = Callable[[Tensor, Tensor], Tensor]
"""Alters a batch: ``(x_BKF, valid_BK) -> x_BKF``; random numbers come from torch's random state."""


class Contrast(NamedTuple):
    """What a contrastive step gives.

    Attributes:
        contrast: (B, 2): a window's loss and 1, or two zeros where no other window of the batch differs
            enough to be compared with. `masked_reconstruction.summed_loss` adds them up.
    """

    contrast: Tensor


class Noise:
    """A view with some bars set to 0 and Gaussian noise on the others.

    Args:
        scale: What the noise is measured in, (F,).
        jitter: Standard deviation of the noise, in units of `scale`.
        masking: Which bars are blanked.
    """

    def __init__(self, scale: Tensor, *, jitter: float, masking: Masking) -> None:
        if not jitter >= 0:
            raise ValueError(f"jitter: want 0 or more, got {jitter}")
        self.scale, self.jitter, self.masking = scale, jitter, masking

    def __call__(self, x_BKF: Tensor, valid_BK: Tensor) -> Tensor:
        """Returns the altered batch."""
        noise_BKF = torch.randn_like(x_BKF) * self.scale.to(x_BKF) * self.jitter
        blank_BK = draw_hidden(valid_BK, self.masking)
        return torch.where(blank_BK[:, :, None], 0.0, x_BKF + noise_BKF)


class Contrastive(nn.Module):
    """Wraps an encoder with a projection of its mean state, compared between two views of each window.

    As a task of a training loop: the model's output "contrast", the loss `summed_loss`, and as target int64
    (n, 2): the stream a window was cut from, and its first bar there. Which windows are compared depends on
    the batch, so micro-batches of a batch do not add up to it.

    Args:
        encoder: Its `encode` is trained in place; use it, or its saved weights, afterwards.
        view: Alters a batch; called twice.
        width: Width R of the encoder's states.
        dimension: Width D of the vectors compared. The projection is thrown away after pretraining.
        temperature: Divides the cosines; above 0.
        seed: Of the projection's first values.

    Raises:
        TypeError: If the encoder has no `encode`.
        ValueError: If the temperature is not above 0.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view: View,
        *,
        width: int,
        dimension: int = 32,
        temperature: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not callable(getattr(encoder, "encode", None)):
            raise TypeError(f"encoder: want a module with encode(x_BKF), got {type(encoder).__name__}")
        if not temperature > 0:
            raise ValueError(f"temperature: want more than 0, got {temperature}")
        self.encoder = encoder
        self.view = view
        self.temperature = temperature
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(seed)
            self.projection = nn.Sequential(
                nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dimension, bias=False)
            )

    def vectors(self, x_BKF: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Returns one vector per window, (B, D): the projected mean state of its valid bars."""
        z_BKR = cast(Encodes, self.encoder).encode(x_BKF, lengths=lengths)
        if lengths is None:
            mean_BR = z_BKR.mean(1)
        else:
            valid_BK = _leading(x_BKF, lengths)
            mean_BR = (z_BKR * valid_BK[:, :, None]).sum(1) / valid_BK.sum(1, keepdim=True)
        projected: Tensor = self.projection(mean_BR)
        return projected

    def forward(
        self,
        x_BKF: Tensor,
        *,
        targets: Mapping[str, Tensor] | None = None,
        lengths: Tensor | None = None,
    ) -> Contrast:
        """Compares two views of every window.

        Args:
            x_BKF: Features.
            targets: ``targets["contrast"]`` is int64 (B, 2): stream and first bar of each window. Without it
                all windows count as different.
            lengths: Valid leading bars, (B,) int64; None: all.
        """
        valid_BK = _leading(x_BKF, lengths)
        one_BD, other_BD = (self.vectors(self.view(x_BKF, valid_BK), lengths=lengths) for _ in range(2))
        origin = None if targets is None or "contrast" not in targets else targets["contrast"]
        share_BB = None if origin is None else overlaps(origin[:, 0], origin[:, 1], bars=x_BKF.shape[1])
        return Contrast(nt_xent(one_BD, other_BD, temperature=self.temperature, same_BB=share_BB))


def overlaps(stream_B: Tensor, start_B: Tensor, *, bars: int) -> Tensor:
    """Tells which windows of `bars` bars share at least one: same stream, starts less than `bars` apart.

    Returns:
        bool (B, B), symmetric, its diagonal True.

    >>> overlaps(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 104, 105, 0]), bars=105).int().tolist()
    [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    """
    near_BB = (start_B[:, None] - start_B[None, :]).abs() < bars
    return near_BB & (stream_B[:, None] == stream_B[None, :])


def nt_xent(one_BD: Tensor, other_BD: Tensor, *, temperature: float, same_BB: Tensor | None = None) -> Tensor:
    """Contrasts each window's two views with all views of other windows.

    With s the cosine divided by the temperature, a view i and its partner j give
    log(exp(s_ij) + the sum of exp(s_ik) over all views k of comparable windows) - s_ij; a window's loss is
    the mean over its two views.

    Args:
        one_BD: First views.
        other_BD: Second views.
        temperature: Above 0.
        same_BB: bool, symmetric: pairs of windows that are not to be compared. A window is never compared
            with itself.

    Returns:
        (B, 2): loss and 1; two zeros for a window with nothing to compare it with.
    """
    B = len(one_BD)
    views_ND = nn.functional.normalize(torch.cat([one_BD, other_BD]).float(), dim=1)
    # Autocast would take the cosines to half precision, whose steps a small temperature blows up.
    with torch.autocast(one_BD.device.type, enabled=False):
        score_NN = views_ND @ views_ND.T / temperature
    apart_BB = ~torch.eye(B, dtype=torch.bool, device=one_BD.device)
    if same_BB is not None:
        apart_BB = apart_BB & ~same_BB
    partner_N = torch.arange(2 * B, device=one_BD.device).roll(B)
    partner_score_N = score_NN.gather(1, partner_N[:, None]).squeeze(1)
    others_NN = score_NN.masked_fill(~apart_BB.repeat(2, 2), -torch.inf)
    total_N = torch.logsumexp(torch.cat([partner_score_N[:, None], others_NN], 1), 1)
    loss_B = (total_N - partner_score_N).reshape(2, B).mean(0)
    counted_B = apart_BB.any(1).to(loss_B.dtype)
    return torch.stack([loss_B * counted_B, counted_B], 1)


def _leading(x_BKF: Tensor, lengths: Tensor | None) -> Tensor:
    B, K, _ = x_BKF.shape
    if lengths is None:
        return torch.ones(B, K, dtype=torch.bool, device=x_BKF.device)
    return torch.arange(K, device=x_BKF.device) < lengths.to(x_BKF.device)[:, None]
