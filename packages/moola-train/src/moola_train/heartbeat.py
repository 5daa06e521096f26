"""Tells the ranks of a run when one of them is gone: a dead process cannot say so itself.

A collective over the CPU breaks by itself when a peer dies, one over GPUs waits. This depends on neither.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from typing import Self

from torch._C._distributed_c10d import Store

DONE = b"done"


class Heartbeat:
    """A thread that counts in a shared store and watches the counts of the others.

    If a rank failed, or its count stands still for `patience` seconds, this process writes one line to the
    standard error and ends with exit code 1, as a kill would: nothing that a run keeps is hurt by that.

    Args:
        store: Shared by the ranks; a connection of its own.
        rank: This one's number.
        size: How many there are.
        run: Number of the run in this process; ranks count runs alike.
        interval: Seconds between two looks.
        patience: Seconds without a sign of life.
    """

    def __init__(
        self, store: Store, *, rank: int, size: int, run: int, interval: float = 1.0, patience: float = 20.0
    ) -> None:
        self._store = store
        self._rank = rank
        self._run = run
        self._others = [r for r in range(size) if r != rank]
        self._interval = interval
        self._patience = patience
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._store.set(
                self._key(self._rank), DONE.decode() if error is None else f"failed: {error!r}"[:500]
            )
        except RuntimeError as lost:
            if error is None:
                raise ConnectionError(f"rank {self._rank}: want the ranks' store, got none") from lost

    def _key(self, rank: int) -> str:
        return f"beat/{self._run}/{rank}"

    def _watch(self) -> None:
        seen = dict.fromkeys(self._others, (b"", time.monotonic()))
        beats = 0
        while not self._stop.is_set():
            beats += 1
            gone = self._look(seen, beats)
            if gone and not self._stop.wait(2 * self._interval):
                # The wait leaves the main thread time to fail by itself, with more to say.
                print(
                    f"rank {self._rank}: {gone}; resume from the latest checkpoint",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)
            self._stop.wait(self._interval)

    def _look(self, seen: dict[int, tuple[bytes, float]], beats: int) -> str:
        """Returns what is wrong, or nothing."""
        try:
            self._store.set(self._key(self._rank), str(beats))
            found = {r: self._read(r) for r in self._others}
        except RuntimeError as error:
            return f"want the ranks' store, got none: {error}"
        now = time.monotonic()
        for rank, value in found.items():
            if value.startswith(b"failed"):
                return f"rank {rank} {value.decode()}"
            if value != seen[rank][0]:
                seen[rank] = (value, now)
            elif value != DONE and now - seen[rank][1] > self._patience:
                return f"want a sign of life from rank {rank}, got none for {self._patience:g} s"
        return ""

    def _read(self, rank: int) -> bytes:
        key = self._key(rank)
        return bytes(self._store.get(key)) if self._store.check([key]) else b""
