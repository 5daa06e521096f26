"""Coverage: an account should not be pointed at more often than the entry books it."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.line_cross_entropy import line_labels
from moola_losses.protocol import LossSum, add_up, full_precision


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Coverage:
    """sum_c max(0, sum_t p_t(c) - n_c) an entry, over its lines t, with n_c how often it books account c.

    The idea is of See and others (2017); counting the gold lines leaves genuine repeats unpunished. In lines:
    from 0 to the entry's lines.

    >>> lines = torch.tensor([[True, True, False]])
    >>> sure = 200 * torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
    >>> float(Coverage()(sure, torch.tensor([[0, 0, -1]]), lines, torch.ones(1)).total)  # twice, and rightly
    0.0
    >>> float(Coverage()(sure, torch.tensor([[0, 1, -1]]), lines, torch.ones(1)).total)
    1.0
    """

    kind: Literal["coverage"] = "coverage"

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares how often accounts are pointed at with how often they are booked.

        Args:
            output: Logits of the account of each line, (B, T, C).
            target: Gold accounts 0..C-1, integers (B, T); any number behind the last line.
            mask: bool (B, T), True where there is a line.
            weight: float, (B,).

        Returns:
            The weighted sum over entries and the weight of the entries with a line.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        if output.ndim != 3 or target.shape != output.shape[:2]:
            raise ValueError(
                f"target: want shape (B, T) beside logits (B, T, C), got {tuple(target.shape)} beside "
                f"{tuple(output.shape)}"
            )
        booked, _, weights_B = self._count(target, mask, weight, size=output.shape[2])
        p = torch.where(mask[..., None], full_precision(output).softmax(2), 0)
        return add_up((p.sum(1) - booked).clamp(min=0).sum(1), weights_B)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: what the gold lines book."""
        weights_B = self._count(target, mask, weight, size=1 + _greatest(target, mask))[2]
        return LossSum(torch.zeros_like(weights_B, dtype=torch.float64).sum(), weights_B.sum())

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best probabilities that are the same for every line.

        The loss of each account is a bent line in its probability, with a corner at n_c / lines of every
        entry: the probability 1 is handed out to the pieces in order of slope, which is exact.
        """
        size = 1 + _greatest(target, mask)
        booked, lines_B, weights_B = self._count(target, mask, weight, size=size)
        kept = weights_B > 0
        booked, lines_B, weights_B = booked[kept].double(), lines_B[kept].double(), weights_B[kept].double()
        if not len(lines_B):
            return LossSum(weights_B.sum(), weights_B.sum())
        corners, order = (booked / lines_B[:, None]).sort(dim=0)
        steeper = (weights_B * lines_B)[order]
        lengths = torch.diff(
            corners, dim=0, prepend=corners.new_zeros(1, size), append=corners.new_ones(1, size)
        )
        slopes = torch.cat([steeper.new_zeros(1, size), steeper.cumsum(0)])
        slope, rank = slopes.flatten().sort()
        length = lengths.flatten()[rank]
        used = torch.minimum(length, (1 - (length.cumsum(0) - length)).clamp(min=0))
        return LossSum((slope * used).sum(), weights_B.sum())

    def _count(
        self, target: Tensor, mask: Tensor, weight: Tensor, *, size: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        label, _ = line_labels(target, mask, weight)
        booked = torch.zeros(len(label), size, device=label.device)
        booked = booked.scatter_add(1, label, mask.to(booked.dtype))
        return booked, mask.sum(1), torch.where(mask.any(1), weight, 0)


def _greatest(target: Tensor, mask: Tensor) -> int:
    known = target[mask]
    return int(known.max()) if len(known) else 0
