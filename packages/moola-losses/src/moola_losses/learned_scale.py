"""Balancers that learn one number a task along with the model, by the same optimiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_losses.balancer import Balancer, BalancerConfig, Options
from moola_losses.ranks import across_ranks, taken_from

Init = Literal["given", "auto"]


class LearnedScale(Balancer):
    """sum_k p_k (w(s_k) (L_k - b_k) + r(s_k)) with one learned s_k a task.

    Args:
        tasks: Names.
        first: First values of s by task; tasks left out start at 0. None with init "auto".
        init: "auto" starts each task at the best s for the first loss seen of it, which must be above 0.
        learning_rate: Of s, in `param_groups`; the model's is mostly too small by 10 to 100 times.
        options: As `Balancer`.
    """

    started: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        name: str,
        first: Mapping[str, float] | None,
        init: Init,
        learning_rate: float,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(tasks, **options)
        if init not in ("given", "auto"):
            raise ValueError(f"init: want 'given' or 'auto', got {init!r}")
        if init == "auto" and first:
            raise ValueError(f"{name}: want none where init is 'auto', got {dict(first)}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate: want a finite number above 0, got {learning_rate}")
        self.init = init
        self.learning_rate = learning_rate
        self.register_parameter(name, nn.Parameter(self.vector(name, first, default=0.0)))
        self.register_buffer("started", torch.full((len(self.tasks),), init == "given"))

    @property
    def learned(self) -> nn.Parameter:
        """s, (tasks,)."""
        return next(self.parameters())

    @abstractmethod
    def weight(self, s: Tensor) -> Tensor:
        """Returns w(s)."""

    @abstractmethod
    def regulariser(self, s: Tensor) -> Tensor:
        """Returns r(s)."""

    @abstractmethod
    def best(self, values: Tensor) -> Tensor:
        """Returns the s at which w(s) L + r(s) is least for positive losses L."""

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the weighted losses and the regularisers of the present tasks, added up."""
        positions, values = self.present(losses)
        seen, means = across_ranks(positions, values.detach(), tasks=len(self.tasks))
        if self.init == "auto" and self.training:
            self._start(seen, means)
        s = self.pick(self.learned, seen)
        preferences = self.pick(self.preferences, seen)
        weights = preferences * self.weight(s)
        # s learns from the mean over ranks, the model from its own rank's losses: all ranks' s stay equal.
        own = taken_from(weights.detach(), seen, positions) * (values - taken_from(means, seen, positions))
        return (weights * means + preferences * self.regulariser(s)).sum() + own.sum()

    def _start(self, positions: list[int], values: Tensor) -> None:
        new = ~self.pick(self.started, positions)
        bad = new & ~(values > 0)
        if self.non_finite == "refuse" and bool(bad.any()):
            k = int(bad.nonzero()[0, 0])
            found = f"{float(values[k]):g} above it for {self.tasks[positions[k]]!r}"
            raise ValueError(f"losses: want more than the floor where init is 'auto', got {found}")
        with torch.no_grad():
            kept = self.pick(self.learned, positions)
            self.put(self.learned, positions, torch.where(new, self.best(values).to(kept.dtype), kept))
            self.put(self.started, positions, torch.ones_like(new))

    def wants_positive(self) -> bool:
        """Says whether losses must be above their floors: to start at the best s."""
        return self.init == "auto"

    def coefficients(self) -> dict[str, float]:
        """Returns p w(s) by task, at present."""
        return self.by_task(self.preferences * self.weight(self.learned))

    def param_groups(self) -> list[dict[str, object]]:
        """Returns s as a group for the optimiser, with its own learning rate and no weight decay."""
        return [{"params": [self.learned], "lr": self.learning_rate, "weight_decay": 0.0}]


class LearnedScaleConfig(BalancerConfig):
    """Settings that learned scales share."""

    init: Init = "given"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
