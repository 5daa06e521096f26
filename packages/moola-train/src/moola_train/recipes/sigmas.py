"""A callback that records what a learned weighting has learned."""

from __future__ import annotations

from collections.abc import Iterable

from moola_losses.uncertainty import UncertaintyWeighting
from moola_train.protocols import Callback, EpochState, Row


class Sigmas(Callback):
    """The sigma of each task, at the end of every epoch; no rows for a balancer that has none."""

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Returns one row a task."""
        if not isinstance(state.balancer, UncertaintyWeighting):
            return ()
        return [Row(task, "sigma", sigma) for task, sigma in state.balancer.sigma().items()]
