"""Countdown as classes: which distance bucket a bar lies in, near buckets being less wrong than far ones."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.protocol import LossSum, Reduction, weigh
from moola_losses.soft_labels import soft_label_constant, soft_label_floor, soft_label_loss


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CountdownBuckets:
    """-sum_c q_c log softmax(output)_c, labels q_c proportional to exp(-|c - bucket| / softness), in nats.

    Bucket i holds edges[i-1] <= countdown < edges[i]. Far from a start the exact number of bars cannot be
    known; a bucket can, and its loss is bounded in the number of classes rather than in bars. Labels that
    fall off with the distance between buckets make it ordinal (Diaz and Marathe 2019); their entropy is a
    floor.

    Args:
        edges: Ascending bars; the default is eleven buckets, finer towards the start.
        softness: In buckets; 0 gives hard labels and plain cross-entropy.
        band: Most bars to either side of a start that are learnt; bars beyond are left out. None: all.
        reduction: What the weight counts: "element", "window_mean" or "window_sum".

    >>> logits, bars = torch.zeros(1, 3, 11), torch.tensor([[4.0, 0.0, float("nan")]])
    >>> known = torch.tensor([[True, True, False]])
    >>> loss = CountdownBuckets()(logits, bars, known, torch.ones(1))
    >>> round(float(loss.total / loss.weight), 4)  # ln 11
    2.3979
    """

    kind: Literal["countdown_buckets"] = "countdown_buckets"
    edges: tuple[float, ...] = (-20, -10, -5, -2, 0, 1, 3, 6, 11, 21)
    softness: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    band: Annotated[float, Field(ge=0)] | None = None
    reduction: Reduction = "element"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.edges or any(not b > a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"edges: want one or more ascending numbers, got {self.edges}")
        return self

    @property
    def slope_cap(self) -> float:
        """Greatest slope by one logit of an element of weight 1."""
        return 1.0

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares logits with countdowns.

        Args:
            output: Logits, (B, K, C) with C = len(edges) + 1.
            target: Countdown in bars, (B, K): not yet clipped or normalised; any number, nan included, where
                masked.
            mask: bool, (B,) or (B, K).
            weight: float, (B,).

        Returns:
            The weighted sum over bars in nats and the weight.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        if output.shape != (*target.shape, len(self.edges) + 1):
            raise ValueError(
                f"output: want {len(self.edges) + 1} logits beside a target of shape {tuple(target.shape)}, "
                f"got shape {tuple(output.shape)}"
            )
        labels, weights = self._labels(target, mask, weight)
        return soft_label_loss(output, labels, weights, reduction=self.reduction)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the entropy of the labels: 0 for hard ones."""
        labels, weights = self._labels(target, mask, weight)
        return soft_label_floor(labels, weights, reduction=self.reduction)

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best probabilities that are the same for all bars: the mean labels."""
        labels, weights = self._labels(target, mask, weight)
        return soft_label_constant(labels, weights, reduction=self.reduction)

    def _labels(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        weights = weigh(mask, weight, target=target)
        bars = torch.where(weights > 0, target.double(), 0)
        if self.band is not None:
            weights = torch.where(bars.abs() > self.band, 0, weights)
        bucket = torch.bucketize(bars, bars.new_tensor(self.edges), right=True)
        apart = (bucket[..., None] - torch.arange(len(self.edges) + 1, device=bars.device)).abs()
        labels = (
            (apart == 0).double() if self.softness == 0 else (-apart.double() / self.softness).softmax(-1)
        )
        # bucketize puts nan into the last bucket; a known target that is nan must spoil the loss instead.
        return labels + torch.where(bars.isnan(), bars, 0)[..., None], weights
