"""Cross-entropy of the lines of an entry: its accounts, its sides, or where it stops."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.focal import least_classes
from moola_losses.protocol import LossSum, Reduction, add_up, full_precision, reduced, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class LineCrossEntropy:
    """-log softmax(output)[target] of every line, in nats, and nothing of the padding behind the last line.

    The mask must therefore be by line: with 40 slots and 3 lines, a stop loss over all slots would be 92 %
    padding, which is right from the first day and drowns the one line that stops. The stop target is 1 on the
    last line itself: "emit this line, then stop".

    Args:
        reduction: "element": nats a line. "window_mean": nats a line, every entry alike. "window_sum": nats
            an entry.

    >>> lines = torch.tensor([[True, True, False]])
    >>> stop = LineCrossEntropy()(torch.zeros(1, 3, 2), torch.tensor([[0, 1, -1]]), lines, torch.ones(1))
    >>> float(stop.weight), round(float(stop.total), 4)  # 2 ln 2
    (2.0, 1.3863)
    """

    kind: Literal["line_cross_entropy"] = "line_cross_entropy"
    reduction: Reduction = "element"

    @property
    def slope_cap(self) -> float:
        """Greatest slope by one logit of an element of weight 1."""
        return 1.0

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares logits with labels.

        Args:
            output: Logits, (B, T, C).
            target: Labels 0..C-1, integers (B, T); any number behind the last line.
            mask: bool (B, T), True where there is a line.
            weight: float, (B,).

        Returns:
            The weighted sum in nats and the weight.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        if output.ndim != 3 or target.shape != output.shape[:2]:
            raise ValueError(
                f"target: want shape (B, T) beside logits (B, T, C), got {tuple(target.shape)} beside "
                f"{tuple(output.shape)}"
            )
        label, weights = line_labels(target, mask, weight)
        log_p = full_precision(output).log_softmax(2).gather(2, label[..., None]).squeeze(2)
        return add_up(-log_p, weights, reduction=self.reduction)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: labels can be known for certain."""
        _, weights = line_labels(target, mask, weight)
        return add_up(torch.zeros_like(weights, dtype=torch.float64), weights, reduction=self.reduction)

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best probabilities that are the same for every line: the label entropy."""
        label, weights = line_labels(target, mask, weight)
        factors, whole = reduced(weights, reduction=self.reduction)
        masses = torch.bincount(label.flatten(), weights=factors.double().flatten())
        return LossSum(least_classes(masses, gamma=0.0), whole)


def line_labels(target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Checks labels by line and weighs them.

    Returns:
        Labels, int64 (B, T), 0 where there is no line, and the weights, (B, T).

    Raises:
        ValueError: If labels are no integers or the mask is not by line.
    """
    if target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(f"target: want integer labels, got {target.dtype}")
    if mask.shape != target.shape:
        raise ValueError(f"mask: want one mark a line, shape {tuple(target.shape)}, got {tuple(mask.shape)}")
    return torch.where(mask, target, 0).long(), weigh(mask, weight, target=target)
