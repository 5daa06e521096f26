"""What most balancers are: one weight a task, made of the losses' values, and the weighted sum."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from moola_losses.balancer import Balancer, BalancerConfig, Options
from moola_losses.ranks import across_ranks, taken_from

Normalise = Literal["mean1", "sum1"]


class WeightingOptions(Options, total=False):
    """What every weighting takes by keyword; see `Weighting`."""

    normalise: Normalise | None
    least: float | None


class Weighting(Balancer):
    """sum_k p_k w_k (L_k - b_k) with preference p, floor b and a weight w made of the losses' values.

    The weights are constants to autograd: the gradient is the weighted sum of the tasks' gradients. In
    evaluation mode nothing is learnt and nothing is recorded. Where several processes train together, all of
    them make their weights of the mean losses, one small exchange a step, and so have the same.

    Args:
        tasks: Names.
        normalise: Scales the weights of the present tasks to mean 1 ("mean1") or sum 1 ("sum1"), after the
            preferences; None keeps the method's own size. Adam does not feel the size; SGD and clipping do.
        least: What a loss has above its floor counts at least so much when weights are made, above 0. None
            refuses losses at or below their floors where the method needs positive ones.
        options: As `Balancer`.
    """

    last: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        normalise: Normalise | None = None,
        least: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(tasks, **options)
        if normalise not in (None, "mean1", "sum1"):
            raise ValueError(f"normalise: want 'mean1', 'sum1' or None, got {normalise!r}")
        if least is not None and not 0 < least < float("inf"):
            raise ValueError(f"least: want a finite number above 0, got {least}")
        self.normalise = normalise
        self.least = least
        self.register_buffer("last", torch.full((len(self.tasks),), float("nan")))

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the weighted sum of what the present tasks' losses have above their floors."""
        positions, values = self.present(losses)
        seen, means = across_ranks(positions, values.detach(), tasks=len(self.tasks))
        weights = self.weigh(seen, self.checked(seen, means)) * self.pick(self.preferences, seen)
        if self.normalise is not None:
            weights = weights / weights.sum()
            if self.normalise == "mean1":
                weights = weights * len(seen)
        if self.training:
            self.put(self.last, seen, weights)
        return (taken_from(weights, seen, positions) * values).sum()

    @abstractmethod
    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns the weights before preferences and normalisation; learns from the values in training mode.

        Args:
            positions: Of the present tasks among `tasks`.
            values: What their losses have above their floors, without graph; positive if so claimed.
        """

    def checked(self, positions: list[int], values: Tensor) -> Tensor:
        """Lifts values to `least`, or refuses those that are not positive, if the method needs positive ones.

        Raises:
            ValueError: If a value is 0 or less, `least` is None and `non_finite` is "refuse".
        """
        if not self.wants_positive():
            return values
        if self.least is not None:
            return values.clamp(min=self.least)
        if self.non_finite == "refuse" and not bool((values > 0).all()):
            k = int((values <= 0).nonzero()[0, 0])
            floor = float(self.floors[positions[k]])
            raise ValueError(
                f"losses: want more than the floor {floor:g}, got {float(values[k]) + floor:g} for "
                f"{self.tasks[positions[k]]!r}; set `least` to carry on below"
            )
        return values

    def coefficients(self) -> dict[str, float]:
        """Returns the weights of the last step in training mode by task; nan for tasks not seen yet."""
        return self.by_task(self.last)


class WeightingConfig(BalancerConfig):
    """Settings that weightings share."""

    normalise: Normalise | None = None
    least: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def weighting_options(self) -> WeightingOptions:
        """Returns what every weighting takes, as keywords."""
        return {**self.options(), "normalise": self.normalise, "least": self.least}
