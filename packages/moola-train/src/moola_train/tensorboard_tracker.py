"""A run in TensorBoard: ``tensorboard --logdir RUN/tensorboard``. Wants the extra ``tensorboard``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moola_train.extras import extra_module
from moola_train.protocols import Callback, EpochState, Row
from moola_train.trackers import number, tag


class TensorBoardTracker(Callback):
    """Writes every epoch's records as scalars, at their steps.

    After a resume, what an interrupted epoch may have written is hidden by TensorBoard's own purging.

    Args:
        folder: Of the run; event files go to ``tensorboard/`` in it.

    Raises:
        ValueError: The extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        extra_module("tensorboard", extra="tensorboard")
        self.folder = folder / "tensorboard"
        self._writer: Any = None

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Writes the epoch and flushes the file."""
        if state.rank or not state.records:
            return ()
        if self._writer is None:
            first = min(record.step for record in state.records)
            module = extra_module("torch.utils.tensorboard", extra="tensorboard")
            self._writer = module.SummaryWriter(str(self.folder), purge_step=first)
        for record in state.records:
            self._writer.add_scalar(tag(record), number(record), global_step=record.step)
        self._writer.flush()
        return ()
