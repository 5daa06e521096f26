"""The journal's adaptive scale: all tasks over one running deviation, which all of them move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class OriginSharedScale(Weighting):
    """L_k / clamp(sqrt(var + 1e-6), .5, 5) with one running mean and variance for all tasks, as it was.

    Task after task, in the order they were given: mean := b mean + (1-b) L, var := b var + (1-b)(L - mean)²,
    starting at 0 and 1. All tasks are divided by almost the same number, so that nothing is balanced; what it
    moves is the ratio to losses outside and to a clipping norm. The state also moves in evaluation mode. The
    result depends on the order of tasks. Negative and zero losses are divided like others.

    Args:
        tasks: Names; the order matters.
        momentum: b.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = OriginSharedScale(("pointer", "side"))
    >>> _ = balancer({"pointer": torch.tensor(6.0), "side": torch.tensor(0.7)})
    >>> {task: round(w, 3) for task, w in balancer.coefficients().items()}
    {'pointer': 0.863, 'side': 0.866}
    """

    claims: ClassVar[Claims] = Claims(order=False, twins=False)
    mean: Tensor
    variance: Tensor

    def __init__(
        self, tasks: Sequence[str], *, momentum: float = 0.99, **options: Unpack[WeightingOptions]
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum: want a number from 0 to below 1, got {momentum}")
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("variance", torch.ones((), dtype=torch.float64))

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns each present task's inverse scale; moves the state whatever the mode."""
        scales = []
        b = self.momentum
        mean, variance = self.mean, self.variance
        for value in values.double().unbind():
            mean = b * mean + (1 - b) * value
            variance = b * variance + (1 - b) * (value - mean).square()
            scales.append((variance + 1e-6).sqrt().clamp(0.5, 5.0))
        self.mean.copy_(mean)
        self.variance.copy_(variance)
        return (1 / torch.stack(scales)).to(values.dtype)


class OriginSharedScaleConfig(WeightingConfig):
    """Configuration of `OriginSharedScale`."""

    kind: Literal["origin_shared_scale"] = "origin_shared_scale"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99

    def build(self, tasks: Sequence[str]) -> OriginSharedScale:
        """Makes the balancer."""
        return OriginSharedScale(tasks, momentum=self.momentum, **self.weighting_options())
