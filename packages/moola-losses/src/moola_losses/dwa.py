"""Dynamic weight average (Liu, Johns and Davison, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class DynamicWeightAverage(Weighting):
    """w_k = K softmax_k(r_k / T), r_k = (mean loss of the last epoch) / (of the one before); K present tasks.

    arXiv 1803.10704: a task whose loss falls slowly counts more. r is 1 until a task has two epochs. An epoch
    ends when the loop calls `epoch_end`, or by itself after `steps_per_epoch` steps; with neither, all
    weights stay 1. A loss at or below its floor is refused, or lifted to `least`.

    Args:
        tasks: Names.
        temperature: T, above 0; large values come near equal weights.
        steps_per_epoch: How many steps make an epoch, 1 or more; None where the loop calls `epoch_end`.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = DynamicWeightAverage(("type", "span"), steps_per_epoch=1)
    >>> for loss in (4.0, 2.0, 2.0):
    ...     total = balancer({"type": torch.tensor(loss), "span": torch.tensor(1.0)})
    >>> round(balancer.coefficients()["span"], 4)  # 2 e^.5 / (e^.25 + e^.5)
    1.1244
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", alone=True, positive=True)
    sums: Tensor
    counts: Tensor
    means: Tensor
    steps: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        temperature: float = 2.0,
        steps_per_epoch: int | None = None,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature: want a finite number above 0, got {temperature}")
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch: want 1 or more, got {steps_per_epoch}")
        self.temperature = temperature
        self.steps_per_epoch = steps_per_epoch
        K = len(self.tasks)
        self.register_buffer("sums", torch.zeros(K, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(K, dtype=torch.float64))
        # The last epoch and the one before.
        self.register_buffer("means", torch.full((2, K), float("nan"), dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns the weights from the two last epochs by present task; adds the losses to this epoch's."""
        if self.training:
            if self.steps_per_epoch is not None:
                self._roll(self.steps >= self.steps_per_epoch)
            self.put(self.sums, positions, self.pick(self.sums, positions) + values)
            self.put(self.counts, positions, self.pick(self.counts, positions) + 1)
            self.steps.add_(1)
        ratio = self.pick(self.means[0] / self.means[1], positions).to(values.dtype)
        ratio = torch.where(ratio.isnan(), torch.ones_like(ratio), ratio)
        return len(positions) * (ratio / self.temperature).softmax(0)

    def epoch_end(self) -> None:
        """Ends the epoch, unless epochs end by themselves."""
        if self.steps_per_epoch is None:
            self._roll(torch.ones_like(self.steps, dtype=torch.bool))

    def _roll(self, over: Tensor) -> None:
        # Tensors instead of a branch: the step count is on the device, and asking for it would wait for it.
        done = over & (self.counts > 0)
        now = torch.stack([self.sums / self.counts, self.means[0]])
        self.means.copy_(torch.where(done, now, self.means))
        self.sums.copy_(torch.where(done, 0.0, self.sums))
        self.counts.copy_(torch.where(done, 0.0, self.counts))
        self.steps.copy_(torch.where(over, 0, self.steps))


class DWAConfig(WeightingConfig):
    """Configuration of `DynamicWeightAverage`."""

    kind: Literal["dwa"] = "dwa"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    steps_per_epoch: Annotated[int, Field(ge=1)] | None = None

    def build(self, tasks: Sequence[str]) -> DynamicWeightAverage:
        """Makes the balancer."""
        return DynamicWeightAverage(
            tasks,
            temperature=self.temperature,
            steps_per_epoch=self.steps_per_epoch,
            **self.weighting_options(),
        )
