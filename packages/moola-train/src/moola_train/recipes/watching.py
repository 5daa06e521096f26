"""Callbacks of the recipes: what the tables need beside the losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from moola_train.protocols import Callback, EpochState, Row
from moola_train.schema import Split

_STATISTICS: dict[str, Callable[[npt.NDArray[np.floating]], np.floating]] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "median": np.median,
}


def statistics(values: npt.NDArray[np.floating]) -> dict[str, float]:
    """Mean, standard deviation, minimum, maximum and median; NaN for no values.

    >>> statistics(np.array([1.0, 3.0]))["std"]
    1.0
    """
    if not values.size:
        return dict.fromkeys(_STATISTICS, float("nan"))
    return {name: float(function(values)) for name, function in _STATISTICS.items()}


class FeatureStatistics(Callback):
    """Five numbers per feature and part, every 5th epoch. They do not change, and the table shows it.

    Args:
        values: Per part, the features of every bar of every window of it, f4 (bars, F).
        names: Of the features.
        every: Epochs between two rows.
    """

    def __init__(
        self, values: dict[Split, npt.NDArray[np.float32]], *, names: tuple[str, ...], every: int = 5
    ) -> None:
        self.every = every
        self._rows = [
            Row("", f"feature_{statistic}/{name}", number, split)
            for split, matrix in values.items()
            for name, column in zip(names, matrix.T, strict=True)
            for statistic, number in statistics(column).items()
        ]

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Returns the rows on every `every`-th epoch."""
        return self._rows if state.epoch % self.every == 0 else ()


class Progress(Callback):
    """Calls a function with the finished epoch, the number of epochs and the inner loss, if there is one."""

    def __init__(self, show: ProgressFunction) -> None:
        self.show = show

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Shows the epoch."""
        inner = [r.value for r in state.records if r.split == "inner" and not r.task and r.name == "loss"]
        self.show(state.epoch, state.epochs, inner[0] if inner else None)
        return ()


class ProgressFunction:
    """Shows nothing; the command line has one that draws a bar."""

    def __call__(self, epoch: int, epochs: int, inner_loss: float | None) -> None:
        """Is told of a finished epoch."""
