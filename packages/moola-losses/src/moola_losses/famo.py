"""Fast adaptive multi-task optimisation (Liu et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.ranks import across_ranks
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions

Refresh = Literal["after_step", "next_batch"]


class FAMO(Weighting):
    """w_k = c z_k/(L_k - b_k), z = softmax(xi), c so that sum_k w_k = 1; xi learns which log loss lags.

    arXiv 2306.03792: with d_k = log L_k(before) - log L_k(after the step), Adam moves xi by the slope of
    sum_k d_k z_k plus `decay` times xi. Adam is inside, its moments are in the state. The paper computes the
    losses of the same batch again, a second forward: the loop hands them to `after_step` after every step,
    and must not call twice in between. With refresh "next_batch" the next batch's losses are taken instead,
    noisier and free. A loss at or below its floor is refused, or lifted to `least`.

    Args:
        tasks: Names.
        refresh: "after_step" or "next_batch".
        learning_rate: Of Adam on xi; betas are .9 and .999.
        decay: Of xi, as an L2 penalty; 1e-3 in the paper.
        options: As `Weighting`; the floors are the paper's b.

    >>> import torch
    >>> balancer = FAMO(("type", "span"))
    >>> _ = balancer({"type": torch.tensor(1.0), "span": torch.tensor(0.25)})
    >>> {task: round(w, 6) for task, w in balancer.coefficients().items()}
    {'type': 0.2, 'span': 0.8}
    >>> balancer.after_step({"type": torch.tensor(0.9), "span": torch.tensor(0.25)})
    >>> balancer.logits.tolist()[0] < 0 < balancer.logits.tolist()[1]  # the span did not move
    True
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", each_scale=True, alone=True, positive=True)
    logits: Tensor
    before: Tensor
    first_moment: Tensor
    second_moment: Tensor
    updates: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        refresh: Refresh = "after_step",
        learning_rate: float = 0.025,
        decay: float = 1e-3,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if refresh not in ("after_step", "next_batch"):
            raise ValueError(f"refresh: want 'after_step' or 'next_batch', got {refresh!r}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate: want a finite number above 0, got {learning_rate}")
        if not 0 <= decay < float("inf"):
            raise ValueError(f"decay: want a finite number of at least 0, got {decay}")
        self.refresh = refresh
        self.wants_after_step = refresh == "after_step"
        self.learning_rate = learning_rate
        self.decay = decay
        zeros = torch.zeros(len(self.tasks), dtype=torch.float64)
        for name in ("logits", "first_moment", "second_moment", "updates"):
            self.register_buffer(name, zeros.clone())
        # Of the losses before the step, nan where none waits for its after.
        self.register_buffer("before", torch.full_like(zeros, float("nan")))

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns c z/L by present task; keeps L for what comes after the step."""
        if self.training:
            if self.refresh == "next_batch":
                self._learn(positions, values)
            elif self.non_finite == "refuse" and not bool(self.before.isnan().all()):
                raise ValueError(
                    "famo: want after_step(losses) after every step in training mode, got the next losses; "
                    "refresh='next_batch' does without"
                )
            self.put(self.before, positions, values)
        shares = self.pick(self.logits, positions).softmax(0).to(values.dtype) / values
        return shares / shares.sum()

    def after_step(self, losses: Mapping[str, Tensor | None]) -> None:
        """Moves xi by what the step did to each loss.

        Args:
            losses: The same batch's, after the optimiser's step; no graph is needed.

        Raises:
            ValueError: As `forward`, or if refresh is "next_batch" or no step came before.
        """
        if self.refresh != "after_step":
            raise ValueError(f"after_step: want refresh 'after_step', got {self.refresh!r}")
        if self.non_finite == "refuse" and bool(self.before.isnan().all()):
            raise ValueError("after_step: want a call in training mode before it, got none")
        positions, values = self.present(losses)
        seen, means = across_ranks(positions, values.detach(), tasks=len(self.tasks))
        self._learn(seen, self.checked(seen, means))
        self.before.fill_(float("nan"))

    @torch.no_grad()
    def _learn(self, positions: list[int], values: Tensor) -> None:
        gain = torch.full_like(self.logits, float("nan"))
        self.put(gain, positions, self.pick(self.before, positions).log() - values.double().log())
        moves = ~gain.isnan()  # present before and after
        gain = torch.where(moves, gain, 0.0)
        z = torch.where(moves, self.logits, -float("inf")).softmax(0)
        z = torch.where(moves, z, 0.0)
        slope = z * (gain - (z * gain).sum()) + self.decay * self.logits
        first = 0.9 * self.first_moment + 0.1 * slope
        second = 0.999 * self.second_moment + 0.001 * slope.square()
        updates = self.updates + 1
        size = (second / (1 - 0.999**updates)).sqrt() + 1e-8
        logits = self.logits - self.learning_rate * first / (1 - 0.9**updates) / size
        for buffer, new in (
            (self.first_moment, first),
            (self.second_moment, second),
            (self.updates, updates),
            (self.logits, logits),
        ):
            buffer.copy_(torch.where(moves, new, buffer))


class FAMOConfig(WeightingConfig):
    """Configuration of `FAMO`."""

    kind: Literal["famo"] = "famo"
    refresh: Refresh = "after_step"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.025
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-3

    def build(self, tasks: Sequence[str]) -> FAMO:
        """Makes the balancer."""
        return FAMO(
            tasks,
            refresh=self.refresh,
            learning_rate=self.learning_rate,
            decay=self.decay,
            **self.weighting_options(),
        )
