"""Weighting by learned uncertainty (Kendall, Gal and Cipolla, CVPR 2018; Liebel and Körner 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_losses.balancer import Balancer, BalancerConfig, Numbers, Options
from moola_losses.claims import Claims

Form = Literal["kendall", "revised"]
Init = Literal["given", "auto"]


class UncertaintyWeighting(Balancer):
    """sum_k p_k (L_k / (2 s_k²) + log s_k) with one learned log s_k a task.

    The revised form has log(1 + s²) in place of log s, and is not negative for losses that are not.
    For a fixed loss the best s_k is the root of L_k: in the end every task is weighted by 1/(2 L_k),
    whatever its loss is made of. Under Adam, log s moves by about one learning rate a step, so short runs
    show elapsed steps rather than a balance: start at the optimum (`init="auto"`), or give `log_sigma` a
    learning rate of its own, 10 to 100 times the model's, and no weight decay: `param_groups` does. The total
    may be negative. A negative loss is accepted and drives its s down without end; a zero one too, slower.

    Args:
        tasks: Names.
        form: "kendall" (arXiv 1705.07115) or "revised" (arXiv 1805.06334).
        init: "auto" starts each task at the best s for the first loss seen of it, which must be above 0.
        log_sigma: First values by task; tasks left out start at 0 (s = 1). None with init "auto".
        learning_rate: Of log s, in `param_groups`.
        options: As `Balancer`.

    >>> balancer = UncertaintyWeighting(("pointers", "type"), log_sigma={"pointers": -0.3})
    >>> round(balancer.sigma()["pointers"], 4)
    0.7408
    """

    claims: ClassVar[Claims] = Claims()
    started: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        form: Form = "kendall",
        init: Init = "given",
        log_sigma: Mapping[str, float] | None = None,
        learning_rate: float = 0.01,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(tasks, **options)
        if form not in ("kendall", "revised"):
            raise ValueError(f"form: want 'kendall' or 'revised', got {form!r}")
        if init not in ("given", "auto"):
            raise ValueError(f"init: want 'given' or 'auto', got {init!r}")
        if init == "auto" and log_sigma:
            raise ValueError(f"log_sigma: want none where init is 'auto', got {dict(log_sigma)}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate: want a finite number above 0, got {learning_rate}")
        self.form = form
        self.init = init
        self.learning_rate = learning_rate
        self.log_sigma = nn.Parameter(self.vector("log_sigma", log_sigma, default=0.0))
        self.register_buffer("started", torch.full((len(self.tasks),), init == "given"))

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Returns the weighted losses and the log terms of the present tasks, added up."""
        positions, values = self.present(losses)
        if self.init == "auto" and self.training:
            self._start(positions, values.detach())
        log_sigma = self.pick(self.log_sigma, positions)
        terms = values * torch.exp(-2 * log_sigma) / 2
        # softplus(2 log s) = log(1 + s²)
        log_terms = log_sigma if self.form == "kendall" else nn.functional.softplus(2 * log_sigma)
        return (self.pick(self.preferences, positions) * (terms + log_terms)).sum()

    def _start(self, positions: list[int], values: Tensor) -> None:
        new = ~self.pick(self.started, positions)
        bad = new & ~(values > 0)
        if self.non_finite == "refuse" and bool(bad.any()):
            k = int(bad.nonzero()[0, 0])
            found = f"{float(values[k]):g} above it for {self.tasks[positions[k]]!r}"
            raise ValueError(f"losses: want more than the floor where init is 'auto', got {found}")
        if self.form == "kendall":
            best = values.log() / 2
        else:
            # d/ds of L/(2s²) + log(1+s²) is 0 at 2 s⁴ = L (1 + s²).
            best = ((values + (values.square() + 8 * values).sqrt()) / 4).log() / 2
        with torch.no_grad():
            kept = self.pick(self.log_sigma, positions)
            self.put(self.log_sigma, positions, torch.where(new, best.to(kept.dtype), kept))
            self.put(self.started, positions, torch.ones_like(new))

    def coefficients(self) -> dict[str, float]:
        """Returns p/(2 s²) by task."""
        return self.by_task(self.preferences * torch.exp(-2 * self.log_sigma) / 2)

    def sigma(self) -> dict[str, float]:
        """Returns s by task."""
        return self.by_task(self.log_sigma.exp())

    def param_groups(self) -> list[dict[str, object]]:
        """Returns log s as a group for the optimiser, with its own learning rate and no weight decay."""
        return [{"params": [self.log_sigma], "lr": self.learning_rate, "weight_decay": 0.0}]


class UncertaintyConfig(BalancerConfig):
    """Configuration of `UncertaintyWeighting`."""

    kind: Literal["uncertainty"] = "uncertainty"
    form: Form = "kendall"
    init: Init = "given"
    log_sigma: Numbers = Field(default_factory=dict)
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01

    def build(self, tasks: Sequence[str]) -> UncertaintyWeighting:
        """Makes the balancer."""
        return UncertaintyWeighting(
            tasks,
            form=self.form,
            init=self.init,
            log_sigma=self.log_sigma,
            learning_rate=self.learning_rate,
            **self.options(),
        )
