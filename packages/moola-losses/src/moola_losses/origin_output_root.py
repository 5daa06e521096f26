"""The origin's cure for a reduction bias that was none: normalised losses times the root of their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Unpack

from pydantic import Field

from moola_losses.claims import Claims
from moola_losses.origin_running_mean import OriginRunningMean
from moola_losses.weighting import WeightingConfig, WeightingOptions

OUTPUTS = {"type": 3, "pointers": 2, "span": 105, "countdown": 105}


class OriginOutputRoot(OriginRunningMean):
    """sqrt(n_k) L_k / m_k with n outputs a task and `OriginRunningMean`'s m.

    The reasoning was that a mean over 105 outputs gives each of them a gradient sqrt(2/105) of what a mean
    over 2 gives. The encoder receives the sum over outputs, in which no such factor is left: the ratio
    measured in the origin's own example is 1.29 the other way. So this weighs span and countdown 7 times as
    much as pointers for no reason.

    Args:
        tasks: Names.
        outputs: n by task, 1 or more; tasks left out have 1.
        momentum: As `OriginRunningMean`.
        warm_up: As `OriginRunningMean`.
        options: As `Weighting`.

    >>> balancer = OriginOutputRoot(("pointers", "span"), outputs={"pointers": 2, "span": 105})
    >>> [round(w, 3) for w in balancer.weights.tolist()]
    [1.414, 10.247]
    """

    claims: ClassVar[Claims] = Claims(twins=False)

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        outputs: Mapping[str, int] | None = None,
        momentum: float = 0.95,
        warm_up: int = 10,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, momentum=momentum, warm_up=warm_up, **options)
        counts = self.vector("outputs", outputs, default=1.0)
        if not bool((counts >= 1).all()):
            raise ValueError(f"outputs: want numbers of at least 1, got {outputs}")
        self.weights.copy_(counts.sqrt())


class OriginOutputRootConfig(WeightingConfig):
    """Configuration of `OriginOutputRoot`."""

    kind: Literal["origin_output_root"] = "origin_output_root"
    outputs: dict[str, Annotated[int, Field(ge=1)]] | None = None
    """None is the origin's numbers for its four tasks."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    warm_up: Annotated[int, Field(ge=0)] = 10

    def build(self, tasks: Sequence[str]) -> OriginOutputRoot:
        """Makes the balancer."""
        known = {task: OUTPUTS[task] for task in tasks if task in OUTPUTS}
        return OriginOutputRoot(
            tasks,
            outputs=known if self.outputs is None else self.outputs,
            momentum=self.momentum,
            warm_up=self.warm_up,
            **self.weighting_options(),
        )
