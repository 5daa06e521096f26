"""Weighting by learned uncertainty (Kendall, Gal and Cipolla, CVPR 2018; Liebel and Körner 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_losses.balancer import Numbers, Options
from moola_losses.claims import Claims
from moola_losses.learned_scale import Init, LearnedScale, LearnedScaleConfig

Form = Literal["kendall", "revised"]


class UncertaintyWeighting(LearnedScale):
    """sum_k p_k (L_k / (2 s_k²) + log s_k) with one learned log s_k a task.

    The revised form has log(1 + s²) in place of log s, and is not negative for losses that are not.
    For a fixed loss the best s_k is the root of L_k: in the end every task is weighted by 1/(2 L_k),
    whatever its loss is made of. Under Adam, log s moves by about one learning rate a step, so short runs
    show elapsed steps rather than a balance: start at the optimum (`init="auto"`), or give `log_sigma` a
    learning rate of its own, 10 to 100 times the model's, and no weight decay, as `param_groups` does. The
    total may be negative. Negative and zero losses are accepted and drive their s down without end.

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
    log_sigma: nn.Parameter

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
        super().__init__(
            tasks, name="log_sigma", first=log_sigma, init=init, learning_rate=learning_rate, **options
        )
        if form not in ("kendall", "revised"):
            raise ValueError(f"form: want 'kendall' or 'revised', got {form!r}")
        self.form = form

    def weight(self, s: Tensor) -> Tensor:
        """Returns 1/(2 s²) of log s."""
        return torch.exp(-2 * s) / 2

    def regulariser(self, s: Tensor) -> Tensor:
        """Returns log s, or log(1 + s²), of log s."""
        return s if self.form == "kendall" else nn.functional.softplus(2 * s)

    def best(self, values: Tensor) -> Tensor:
        """Returns log s with s² = L, or 2 s⁴ = L (1 + s²) in the revised form."""
        if self.form == "kendall":
            return values.log() / 2
        return ((values + (values.square() + 8 * values).sqrt()) / 4).log() / 2

    def sigma(self) -> dict[str, float]:
        """Returns s by task."""
        return self.by_task(self.log_sigma.exp())


class UncertaintyConfig(LearnedScaleConfig):
    """Configuration of `UncertaintyWeighting`."""

    kind: Literal["uncertainty"] = "uncertainty"
    form: Form = "kendall"
    log_sigma: Numbers = Field(default_factory=dict)

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
