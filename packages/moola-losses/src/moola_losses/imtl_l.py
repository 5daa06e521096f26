"""The loss half of impartial multi-task learning (Liu et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Unpack

from pydantic import Field
from torch import Tensor, nn

from moola_losses.balancer import Numbers, Options
from moola_losses.claims import Claims
from moola_losses.learned_scale import Init, LearnedScale, LearnedScaleConfig


class IMTLL(LearnedScale):
    """sum_k p_k (e^(s_k) L_k - s_k) with one learned s_k a task.

    Twice `UncertaintyWeighting` at s = -2 log sigma: the optimum is e^s = 1/L, the same weights but for a
    factor of 2, and the advice on starting and learning rate is the same. Negative and zero losses are
    accepted and drive their s up without end.

    Args:
        tasks: Names.
        init: "auto" starts each task at -log of the first loss seen of it, which must be above 0.
        log_weight: First s by task; tasks left out start at 0. None with init "auto".
        learning_rate: Of s, in `param_groups`.
        options: As `Balancer`.

    >>> import torch
    >>> balancer = IMTLL(("type", "span"), init="auto")
    >>> _ = balancer({"type": torch.tensor(1.0), "span": torch.tensor(0.25)})
    >>> balancer.coefficients()
    {'type': 1.0, 'span': 4.0}
    """

    claims: ClassVar[Claims] = Claims()
    log_weight: nn.Parameter

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        init: Init = "given",
        log_weight: Mapping[str, float] | None = None,
        learning_rate: float = 0.01,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            tasks, name="log_weight", first=log_weight, init=init, learning_rate=learning_rate, **options
        )

    def weight(self, s: Tensor) -> Tensor:
        """Returns e^s."""
        return s.exp()

    def regulariser(self, s: Tensor) -> Tensor:
        """Returns -s."""
        return -s

    def best(self, values: Tensor) -> Tensor:
        """Returns s = -log L."""
        return -values.log()


class IMTLLConfig(LearnedScaleConfig):
    """Configuration of `IMTLL`."""

    kind: Literal["imtl_l"] = "imtl_l"
    log_weight: Numbers = Field(default_factory=dict)

    def build(self, tasks: Sequence[str]) -> IMTLL:
        """Makes the balancer."""
        return IMTLL(
            tasks,
            init=self.init,
            log_weight=self.log_weight,
            learning_rate=self.learning_rate,
            **self.options(),
        )
