"""Writes checkpoints beside the training: waiting for a disk is no work for the loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class CheckpointWriter:
    """One thread that runs the jobs of saving, one after the other, at most one waiting.

    A job that fails is an error of the run: it is raised at the next job or at the end. As a context manager
    it finishes what it was given before it leaves.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._job: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Waits for the job before, raises its error if it had one, and hands this one over."""
        self.wait()
        self._job = self._thread.submit(job)

    def wait(self) -> None:
        """Returns when everything given is on the disk. OSError and others: what the job raised."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if error is None:
            self.wait()
