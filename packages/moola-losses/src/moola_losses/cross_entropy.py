"""Cross-entropy of a window's class."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.focal import focal_factor, least_classes
from moola_losses.protocol import LossSum, add_up, full_precision, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CrossEntropy:
    """-(1 - p)^gamma log p with p = softmax(output)[target], in nats; ln C for a uniform guess and gamma 0.

    Args:
        class_weights: How much an example of each class counts, in the total and in the weight, as
            `torch.nn.functional.cross_entropy` does; None: all alike.
        gamma: Of focal loss; 0 is cross-entropy. The weight returned does not contain the focal factor.

    >>> known = torch.tensor([True, True])
    >>> loss = CrossEntropy()(torch.zeros(2, 3), torch.tensor([0, 2]), known, torch.ones(2))
    >>> round(float(loss.total / loss.weight), 4)  # ln 3
    1.0986
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    class_weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
    gamma: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @property
    def slope_cap(self) -> float | None:
        """Greatest slope by one logit of an element of weight 1; None where focal loss bends it."""
        return 1.0 if self.gamma == 0 else None

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares logits with labels.

        Args:
            output: Logits, (B, C).
            target: Labels 0..C-1, int64 (B,); any number where masked.
            mask: bool, (B,).
            weight: float, (B,).

        Returns:
            The weighted sum in nats and the weight.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        if output.ndim != 2 or target.shape != output.shape[:1]:
            raise ValueError(
                f"target: want shape (B,) beside logits (B, C), got {tuple(target.shape)} beside "
                f"{tuple(output.shape)}"
            )
        if self.class_weights is not None and len(self.class_weights) != output.shape[1]:
            raise ValueError(
                f"class_weights: want one for each of {output.shape[1]} classes, got {self.class_weights}"
            )
        label_B, weights_B = self._weigh(target, mask, weight)
        log_B = full_precision(output).log_softmax(1).gather(1, label_B[:, None]).squeeze(1)
        return add_up(-focal_factor(log_B, gamma=self.gamma) * log_B, weights_B)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: a label can be known for certain."""
        weight = self._weigh(target, mask, weight)[1].sum()
        return LossSum(torch.zeros_like(weight, dtype=torch.float64), weight)

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best probabilities that are the same for every example.

        Without focal loss that is the entropy of the weighted labels.

        >>> label, ones = torch.tensor([0, 1, 1, 1]), torch.ones(4)
        >>> best = CrossEntropy().constant(label, ones > 0, ones)
        >>> round(float(best.total / best.weight), 4)  # entropy of (1/4, 3/4)
        0.5623
        """
        label_B, weights_B = self._weigh(target, mask, weight)
        masses = torch.bincount(label_B, weights=weights_B.double())
        return LossSum(least_classes(masses, gamma=self.gamma), weights_B.sum())

    def _weigh(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        if target.is_floating_point() or target.dtype == torch.bool:
            raise ValueError(f"target: want integer labels, got {target.dtype}")
        weights_B = weigh(mask, weight, target=target)
        label_B = torch.where(mask, target, 0).long()
        if self.class_weights is not None:
            weights_B = weights_B * weights_B.new_tensor(self.class_weights)[label_B]
        return label_B, weights_B
