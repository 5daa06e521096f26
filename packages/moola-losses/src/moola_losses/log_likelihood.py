"""Reduces the log-likelihoods that a structured head has computed itself."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

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
        if mask.shape == target.shape:
            mask = mask.reshape(B, -1).all(1)
        weights_B = weigh(mask, weight, target=output)
        loss = add_up(-full_precision(output), weights_B)
        bars = target[0].numel() if self.per == "bar" and B else 1
        return LossSum(loss.total, loss.weight * bars)
