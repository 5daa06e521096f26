"""A method on gradients whose weights are made anew at every n-th step only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, SerializeAsAny, field_validator
from torch import Tensor, nn

from moola_losses.balancer import Balancer, BalancerConfig
from moola_losses.claims import Claims
from moola_losses.gradient_balancer import GradientBalancer
from moola_losses.gradscale import GradScaleConfig
from moola_losses.split_route import Split


class Every(Balancer):
    """Refreshes the weights of another balancer at steps 0, n, 2n, … and reuses them in between.

    In between a step costs hardly more than a plain one, for the gradient of Σ w_k L_k with fixed w needs no
    walk per task. A task that is seen for the first time refreshes all.

    Args:
        n: At least 1.
        inner: The balancer; its tasks, floors and preferences hold.
    """

    claims: ClassVar[Claims] = Claims(scalar=False, shared=True, twins=False)

    steps: Tensor

    def __init__(self, n: int, inner: GradientBalancer) -> None:
        if n < 1:
            raise ValueError(f"n: want at least 1, got {n}")
        if not isinstance(inner, GradientBalancer):
            raise ValueError(f"inner: want a method on gradients, got {type(inner).__name__}")
        super().__init__(inner.tasks, non_finite=inner.non_finite)
        self.n = n
        self.inner = inner
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Raises NotImplementedError: the method has no scalar."""
        total: Tensor = self.inner(losses)
        return total

    def split(self, representation: Tensor) -> Split:
        """Cuts a representation as `GradientBalancer.split`."""
        return self.inner.split(representation)

    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[nn.Parameter] | None = None,
        representation: Tensor | Split | None = None,
        scaler: torch.amp.GradScaler | None = None,
        retain_graph: bool = False,
    ) -> Tensor:
        """Adds the balanced gradient to ``.grad``; arguments, result and errors as the inner balancer's."""
        total = self.inner.backward(
            losses,
            shared=shared,
            representation=representation,
            scaler=scaler,
            retain_graph=retain_graph,
            refresh=int(self.steps) % self.n == 0,
        )
        if self.training:
            self.steps += 1
        return total

    def wants_positive(self) -> bool:
        """Says whether losses must be above their floors: as the inner balancer."""
        return self.inner.wants_positive()

    def epoch_end(self) -> None:
        """Tells the inner balancer that an epoch is over."""
        self.inner.epoch_end()

    def param_groups(self) -> list[dict[str, object]]:
        """Returns the inner balancer's groups for the optimiser."""
        return self.inner.param_groups()

    def coefficients(self) -> dict[str, float]:
        """Returns the inner balancer's last weights."""
        return self.inner.coefficients()


class EveryConfig(BalancerConfig):
    """Configuration of `Every`; floors, preferences and `non_finite` belong into the inner one's."""

    kind: Literal["every"] = "every"
    n: Annotated[int, Field(ge=1)] = 10
    inner: SerializeAsAny[BalancerConfig] = Field(default_factory=GradScaleConfig)

    @field_validator("inner", mode="before")
    @classmethod
    def _resolve(cls, value: object) -> BalancerConfig:
        # The registry lists this module.
        from moola_losses.registry import resolve_balancer

        return resolve_balancer(value)

    def build(self, tasks: Sequence[str]) -> Every:
        """Makes the balancer.

        Raises:
            ValueError: If the inner balancer is no method on gradients.
        """
        inner = self.inner.build(tasks)
        if not isinstance(inner, GradientBalancer):
            raise ValueError(f"inner: want a method on gradients, got {self.inner.kind!r}")
        return Every(self.n, inner)
