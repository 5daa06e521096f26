"""The origin's uncertainty weighting: Kendall's with its first sigmas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from moola_losses.balancer import BalancerConfig
from moola_losses.claims import Claims
from moola_losses.uncertainty import UncertaintyWeighting


class OriginUncertainty(UncertaintyWeighting):
    """`UncertaintyWeighting` with log sigma -0.30 of the pointers and 0 of all others at first.

    Trained by the model's Adam at 1e-3, log sigma moves by a thousandth a step: the "learned weights" of runs
    of 20, 50 and 100 epochs of 6 steps were exp(-.30 - .001 * steps) = .657, .549 and .407, whatever was
    learnt. So `param_groups` gives 1e-3 here.

    Args:
        tasks: Names.
        options: As `UncertaintyWeighting`.

    >>> round(OriginUncertaintyConfig().build(("type", "pointers")).sigma()["pointers"], 4)
    0.7408
    """

    claims: ClassVar[Claims] = Claims(twins=False)


class OriginUncertaintyConfig(BalancerConfig):
    """Configuration of `OriginUncertainty`."""

    kind: Literal["origin_uncertainty"] = "origin_uncertainty"

    def build(self, tasks: Sequence[str]) -> OriginUncertainty:
        """Makes the balancer."""
        first = {"pointers": -0.3} if "pointers" in tasks else None
        return OriginUncertainty(tasks, log_sigma=first, learning_rate=1e-3, **self.options())
