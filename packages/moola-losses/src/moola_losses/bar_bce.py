"""Binary cross-entropy of every bar's in-span mark, on logits."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn.functional import logsigmoid

from moola_losses.focal import focal_factor, least_two_class
from moola_losses.protocol import LossSum, Reduction, add_up, full_precision, reduced, same_shape, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BarBCE:
    """-[pos_weight y (1 - p)^gamma log p + (1 - y) p^gamma log(1 - p)] with p = sigmoid(logit), in nats.

    Every bar is judged alone. For soft marks the least possible loss is their entropy, not 0: see `floor`.

    Args:
        pos_weight: How much the in-span part counts. It moves the operating point (p becomes
            w pi / (w pi + 1 - pi) for a base rate pi) and adds no information. The weight returned does not
            contain it, as in torch.
        gamma: Of focal loss (Lin and others 2017); 0 is cross-entropy.
        reduction: "element": nats a bar. "window_mean": nats a bar, every window alike however many of its
            bars are known. "window_sum": nats a window, comparable with a structured head's log-likelihood.

    >>> loss = BarBCE()(torch.zeros(1, 4), torch.ones(1, 4), torch.tensor([True]), torch.ones(1))
    >>> round(float(loss.total / loss.weight), 4)  # ln 2
    0.6931
    """

    kind: Literal["bar_bce"] = "bar_bce"
    pos_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    gamma: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    reduction: Reduction = "element"

    @property
    def slope_cap(self) -> float | None:
        """Greatest slope by one logit of an element of weight 1; None where focal loss bends it."""
        return max(self.pos_weight, 1.0) if self.gamma == 0 else None

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares logits with marks.

        Args:
            output: Logits, (B, K).
            target: Marks in [0, 1], the output's shape, any numeric type; any number where masked.
            mask: bool, (B,) or the target's shape.
            weight: float, (B,).

        Returns:
            The weighted sum over bars in nats and the weight.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        same_shape(output, target)
        weights = weigh(mask, weight, target=target)
        logit = full_precision(output)
        mark = torch.where(weights > 0, target.to(logit.dtype), 0)
        log_in, log_out = logsigmoid(logit), logsigmoid(-logit)
        inside = mark * focal_factor(log_in, gamma=self.gamma) * log_in
        outside = (1 - mark) * focal_factor(log_out, gamma=self.gamma) * log_out
        return add_up(-(self.pos_weight * inside + outside), weights, reduction=self.reduction)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best logit for every bar: 0 for hard marks, their entropy for soft ones.

        >>> known, soft = torch.tensor([True]), torch.tensor([[0.0, 0.25, 0.75, 1.0]])
        >>> least = BarBCE().floor(soft, known, torch.ones(1))
        >>> round(float(least.total / least.weight), 4)
        0.2812
        """
        mark, weights = self._marks(target, mask, weight)
        least = least_two_class(self.pos_weight * mark, 1 - mark, gamma=self.gamma)
        return add_up(least, weights, reduction=self.reduction)

    def constant(
        self,
        target: Tensor,
        mask: Tensor,
        weight: Tensor,
        /,
        *,
        apart: Literal["nothing", "bars"] = "nothing",
    ) -> LossSum:
        """Returns the value of the best constant logit.

        Args:
            target: As in the call, and so mask and weight.
            mask: As there.
            weight: As there.
            apart: "nothing": one number for all bars. "bars": one for every position, the position's prior.
        """
        mark, weights = self._marks(target, mask, weight)
        factors, whole = reduced(weights, reduction=self.reduction)
        inside, outside = self.pos_weight * factors * mark, factors * (1 - mark)
        if apart == "bars":
            inside, outside = inside.sum(0), outside.sum(0)
        else:
            inside, outside = inside.sum(), outside.sum()
        return LossSum(least_two_class(inside, outside, gamma=self.gamma).sum(), whole)

    def _marks(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        weights = weigh(mask, weight, target=target)
        return torch.where(weights > 0, target.double(), 0), weights
