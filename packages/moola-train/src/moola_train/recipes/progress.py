"""A progress bar on standard error; silent where nobody looks."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from moola_train.recipes.watching import ProgressFunction


class ProgressBar(ProgressFunction):
    """Draws finished epochs; use it as a context manager. Piped output stays free of it."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task: TaskID | None = None

    def __call__(self, epoch: int, epochs: int, inner_loss: float | None) -> None:
        """Moves the bar to a finished epoch."""
        if self._task is None:
            self._task = self._progress.add_task("training", total=epochs)
        shown = "training" if inner_loss is None else f"inner loss {inner_loss:.4f}"
        self._progress.update(self._task, completed=epoch, description=shown)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
