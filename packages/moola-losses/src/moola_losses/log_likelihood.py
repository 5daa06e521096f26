"""Reduces the log-likelihoods that a structured head has computed itself."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.focal import least_classes
from moola_losses.protocol import LossSum, add_up, full_precision, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class LogLikelihood:
    """Minus the log-likelihood of each window's target, in nats.

    Args:
        per: What the weight counts. "window": the loss is nats a window; "bar": nats a bar, comparable with
            `BarBCE` and between window lengths.
    """

    kind: Literal["log_likelihood"] = "log_likelihood"
    per: Literal["window", "bar"] = "window"

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Adds up what the head returned.

        Args:
            output: Log-likelihoods, (B,): what the head gives when it is given the target.
            target: (B, K); only its shape is read.
            mask: bool, (B,) or the target's shape. A window with any unknown bar is left out: the
                head's likelihood is of the whole window.
            weight: float, (B,).

        Returns:
            The weighted sum in nats and the weight.

        Raises:
            ValueError: If shapes or types do not fit; per-bar output means that the head got no target.
        """
        B = target.shape[0]
        if output.shape != (B,):
            raise ValueError(
                f"output: want log-likelihoods of shape ({B},), got {tuple(output.shape)}; was the model "
                "called without targets?"
            )
        weights_B, bars = self._weigh(target, mask, weight)
        loss = add_up(-full_precision(output), weights_B)
        return LossSum(loss.total, loss.weight * bars)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns 0: a head may give a discrete target the probability 1."""
        weights_B, bars = self._weigh(target, mask, weight)
        return LossSum(torch.zeros((), dtype=torch.float64, device=target.device), weights_B.sum() * bars)

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best head that draws every bar's tag alone, from the same odds.

        Raises:
            ValueError: If a known target is no whole number of at least 0: tags are discrete.
        """
        weights_B, bars = self._weigh(target, mask, weight)
        known = weights_B > 0
        tags = target[known].flatten(1)
        if tags.is_floating_point() and not bool((tags == tags.round()).all()):
            raise ValueError("target: want discrete tags, got soft marks; their code length is not defined")
        masses = torch.bincount(
            tags.long().flatten(), weights=weights_B[known].double().repeat_interleave(tags.shape[1])
        )
        return LossSum(least_classes(masses, gamma=0.0), weights_B.sum() * bars)

    def _weigh(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, int]:
        B = target.shape[0]
        if mask.shape == target.shape:
            mask = mask.reshape(B, -1).all(1)
        bars = target[0].numel() if self.per == "bar" and B else 1
        return weigh(mask, weight, target=target.reshape(B, -1)[:, 0] if target.ndim > 1 else target), bars
