"""A run in Weights & Biases, offline: ``wandb sync RUN/wandb/offline-run-*``. Wants the extra ``wandb``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from moola_train.extras import extra_module
from moola_train.protocols import Callback, EpochState, Row
from moola_train.schema import Record
from moola_train.trackers import number, tag


def _step(record: Record) -> int:
    return record.step


class WandbTracker(Callback):
    """Logs every epoch's records, one call a step that has some; nothing leaves the machine.

    Args:
        folder: Of the run; offline files go to ``wandb/`` in it. A resumed run keeps its name there.

    Raises:
        ValueError: The extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._wandb = extra_module("wandb", extra="wandb")
        self.folder = folder
        self._run: Any = None

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Logs the epoch; after the last one the run is closed."""
        if state.rank or not state.records:
            return ()
        if self._run is None:
            self._run = self._wandb.init(
                project="moola",
                name=self.folder.name,
                id=hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16],
                dir=str(self.folder),
                mode="offline",
                resume="allow",
                settings={"silent": True},
            )
        ordered = sorted(state.records, key=_step)
        for step, records in groupby(ordered, key=_step):
            self._run.log({tag(r): number(r) for r in records}, step=step)
        if state.epoch == state.epochs:
            self._run.finish()
        return ()
