"""Binary cross-entropy of every bar's in-span mark, on logits."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn.functional import logsigmoid

from moola_losses.protocol import LossSum, add_up, full_precision, same_shape, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BarBCE:
    """-[pos_weight y log p + (1 - y) log(1 - p)] with p = sigmoid(logit), in nats.

    Every bar is judged alone. For soft marks the least possible loss is their entropy, not 0.

    Args:
        pos_weight: How much the in-span part counts. It moves the operating point (p becomes
            w pi / (w pi + 1 - pi) for a base rate pi) and adds no information. The weight returned does not
            contain it, as in torch.

    >>> loss = BarBCE()(torch.zeros(1, 4), torch.ones(1, 4), torch.tensor([True]), torch.ones(1))
    >>> round(float(loss.total / loss.weight), 4)  # ln 2
    0.6931
    """

    kind: Literal["bar_bce"] = "bar_bce"
    pos_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

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
        inside, outside = mark * logsigmoid(logit), (1 - mark) * logsigmoid(-logit)
        return add_up(-(self.pos_weight * inside + outside), weights)
