"""The geometric mean of losses (Chennupati et al., CVPR workshops 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.weighting import Weighting, WeightingConfig


class GeometricLoss(Weighting):
    """The gradient of g = (prod_k L_k^p_k)^(1/P), P = sum p: p_k w_k = p_k g / (P (L_k - b_k)).

    arXiv 1904.08492. The direction is `LogSum`'s; the size shrinks with the losses, so that the sum of the
    weights can be far from 1: no matter under Adam, fatal under SGD or a fixed clipping norm, where
    `normalise` helps. A loss at or below its floor is refused, or lifted to `least`.

    Args:
        tasks: Names.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = GeometricLoss(("type", "span"))
    >>> _ = balancer({"type": torch.tensor(8.0), "span": torch.tensor(0.5)})
    >>> {task: round(w, 6) for task, w in balancer.coefficients().items()}
    {'type': 0.125, 'span': 2.0}
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", each_scale=True, alone=True, positive=True)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns g/(P L) by present task."""
        preferences = self.pick(self.preferences, positions)
        whole = preferences.sum()
        return ((preferences * values.log()).sum() / whole).exp() / (whole * values)


class GLSConfig(WeightingConfig):
    """Configuration of `GeometricLoss`."""

    kind: Literal["gls"] = "gls"

    def build(self, tasks: Sequence[str]) -> GeometricLoss:
        """Makes the balancer."""
        return GeometricLoss(tasks, **self.weighting_options())
