"""A pointer into a catalogue of accounts with parents: a near relative is less wrong than a stranger."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, Self

import torch
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.line_cross_entropy import line_labels
from moola_losses.protocol import LossSum, Reduction
from moola_losses.soft_labels import soft_label_constant, soft_label_floor, soft_label_loss


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class HierarchicalPointer:
    """Cross-entropy of every line against `own` on its account and the rest spread over its ancestors.

    One loss with one optimum, those labels; their entropy is the floor. An account without ancestors keeps
    all. A mean over lines, so an entry's length does not change how much the ancestors count.

    Args:
        parents: For every account of the catalogue the index of its parent, -1 for none.
        own: Share of the account itself, in (0, 1].
        reduction: "element": nats a line. "window_mean": nats a line, every entry alike. "window_sum": nats
            an entry.

    >>> loss = HierarchicalPointer(parents=(-1, 0, 1), own=0.7)
    >>> [round(x, 2) for x in ancestor_labels(loss.parents, own=0.7)[2].tolist()]
    [0.15, 0.15, 0.7]
    """

    parents: tuple[int, ...]
    kind: Literal["hierarchical_pointer"] = "hierarchical_pointer"
    own: Annotated[float, Field(gt=0, le=1)] = 0.7
    reduction: Reduction = "element"

    @model_validator(mode="after")
    def _check(self) -> Self:
        ancestor_labels(self.parents, own=self.own)
        return self

    @property
    def slope_cap(self) -> float:
        """Greatest slope by one logit of an element of weight 1."""
        return 1.0

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares logits with accounts.

        Args:
            output: Logits, (B, T, C), C the catalogue's size.
            target: Accounts 0..C-1, integers (B, T); any number behind the last line.
            mask: bool (B, T), True where there is a line.
            weight: float, (B,).

        Returns:
            The weighted sum in nats and the weight.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        if output.shape != (*target.shape, len(self.parents)):
            raise ValueError(
                f"output: want {len(self.parents)} logits beside a target of shape {tuple(target.shape)}, "
                f"got shape {tuple(output.shape)}"
            )
        labels, weights = self._labels(target, mask, weight)
        return soft_label_loss(output, labels, weights, reduction=self.reduction)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the entropy of the labels: 0 for accounts without ancestors."""
        return soft_label_floor(*self._labels(target, mask, weight), reduction=self.reduction)

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best probabilities that are the same for every line: the mean label."""
        return soft_label_constant(*self._labels(target, mask, weight), reduction=self.reduction)

    def _labels(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        label, weights = line_labels(target, mask, weight)
        return ancestor_labels(self.parents, own=self.own).to(target.device)[label], weights


@lru_cache(maxsize=8)
def ancestor_labels(parents: tuple[int, ...], *, own: float) -> Tensor:
    """Returns the label of every account, f64 (C, C): row c adds up to 1.

    Raises:
        ValueError: If a parent is not in the catalogue or the parents run in a circle.
    """
    labels = torch.zeros(len(parents), len(parents), dtype=torch.float64)
    for account, parent in enumerate(parents):
        above: list[int] = []
        while parent != -1:
            if not 0 <= parent < len(parents):
                raise ValueError(
                    f"parents: want -1 or an account below {len(parents)}, got {parent} above {account}"
                )
            if parent == account or parent in above:
                raise ValueError(f"parents: want a tree, got a circle above account {account}")
            above.append(parent)
            parent = parents[parent]
        labels[account, account] = own if above else 1.0
        if above:
            labels[account, above] = (1 - own) / len(above)
    return labels
