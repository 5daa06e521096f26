"""Cross-entropy of a window's class."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.protocol import LossSum, add_up, full_precision, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CrossEntropy:
    """-log softmax(output)[target], in nats; ln C for a uniform guess.

    Args:
        class_weights: How much an example of each class counts, in the total and in the weight, as
            `torch.nn.functional.cross_entropy` does; None: all alike.

    >>> known = torch.tensor([True, True])
    >>> loss = CrossEntropy()(torch.zeros(2, 3), torch.tensor([0, 2]), known, torch.ones(2))
    >>> round(float(loss.total / loss.weight), 4)  # ln 3
    1.0986
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    class_weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None

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
        if target.is_floating_point() or target.dtype == torch.bool:
            raise ValueError(f"target: want integer labels, got {target.dtype}")
        weights_B = weigh(mask, weight, target=target)
        label_B = torch.where(mask, target, 0).long()
        if self.class_weights is not None:
            if len(self.class_weights) != output.shape[1]:
                raise ValueError(
                    f"class_weights: want one for each of {output.shape[1]} classes, got {self.class_weights}"
                )
            weights_B = weights_B * weights_B.new_tensor(self.class_weights)[label_B]
        log_BC = full_precision(output).log_softmax(1)
        return add_up(-log_BC.gather(1, label_B[:, None]).squeeze(1), weights_B)
