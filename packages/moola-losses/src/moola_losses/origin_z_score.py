"""The origin's "batch normalisation" of losses, which trains nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, Unpack

import torch
from torch import Tensor, nn

from moola_losses.balancer import Balancer, BalancerConfig, Options
from moola_losses.claims import Claims

REASON = (
    "force: want True, got False. The z-score over tasks is made of detached numbers, so that the total "
    "has no gradient and nothing is learnt; with gradients it would be no better: z-scores of one batch "
    "always add up to 0. 'ema_loss' with floors, or 'unit', does what was meant; force=True reproduces it"
)


class OriginZScore(Balancer):
    """sum_k p_k (L_k - mean L) / (std L + 1e-8) over the present tasks, of detached losses.

    Args:
        tasks: Names.
        force: False refuses with the reason; True builds it: a total without gradient, and a `backward` that
            adds nothing.
        options: As `Balancer`.

    >>> import torch
    >>> balancer = OriginZScore(("a", "b"), force=True)
    >>> loss = torch.tensor(2.0, requires_grad=True)
    >>> balancer({"a": loss, "b": 3 * loss}).requires_grad
    False
    """

    claims: ClassVar[Claims] = Claims(gradient=False)

    def __init__(self, tasks: Sequence[str], *, force: bool = False, **options: Unpack[Options]) -> None:
        super().__init__(tasks, **options)
        if not force:
            raise ValueError(REASON)

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the sum of the z-scores, without gradient."""
        positions, values = self.present(losses)
        values = values.detach()
        scores = (values - values.mean()) / (values.std(correction=0) + 1e-8)
        return (self.pick(self.preferences, positions) * scores).sum()

    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[nn.Parameter] | None = None,
        representation: Tensor | None = None,
        scaler: torch.amp.GradScaler | None = None,
        retain_graph: bool = False,
    ) -> Tensor:
        """Returns the total and adds nothing to ``.grad``."""
        total: Tensor = self(losses)
        return total

    def coefficients(self) -> dict[str, float]:
        """Returns 0 for every task."""
        return dict.fromkeys(self.tasks, 0.0)


class OriginZScoreConfig(BalancerConfig):
    """Configuration of `OriginZScore`."""

    kind: Literal["origin_z_score"] = "origin_z_score"
    force: bool = False

    def build(self, tasks: Sequence[str]) -> OriginZScore:
        """Makes the balancer.

        Raises:
            ValueError: With the reason, unless forced.
        """
        return OriginZScore(tasks, force=self.force, **self.options())
