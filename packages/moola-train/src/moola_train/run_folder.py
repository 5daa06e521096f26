"""The folder of one run: its records, its checkpoints and the pointer to the best of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from moola_train.checkpoint import (
    TEMPORARY,
    Snapshot,
    read_checkpoint,
    remove_checkpoint,
    replace_text,
    write_checkpoint,
)
from moola_train.folder_lock import LOCK, FolderLock
from moola_train.records import RecordFile

_NAME = re.compile(r"epoch_(\d{4,})(?:_step_(\d{8,}))?")


def checkpoint_name(epoch: int, step: int, batch: int) -> str:
    """Names a checkpoint: epochs finished, and inside an epoch the step too.

    >>> checkpoint_name(10, 70, 0), checkpoint_name(10, 73, 3)
    ('epoch_0010', 'epoch_0010_step_00000073')
    """
    return f"epoch_{epoch:04d}" + (f"_step_{step:08d}" if batch else "")


class RunFolder:
    """A run folder held for one run.

    It holds ``records.jsonl``, ``checkpoints/epoch_0010/`` and so on, and ``checkpoints/best.json``; other
    files beside these are the caller's. Use it as a context manager, or call `close`.
    """

    def __init__(self, path: Path, lock: FolderLock) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.records = RecordFile(path / "records.jsonl")
        self._lock = lock

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Makes the folder, or takes an empty one.

        Raises:
            FileExistsError: It holds something already.
            BlockingIOError: Another process holds it.
        """
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        found = sorted(p.name for p in path.iterdir() if p.name != LOCK)
        if found:
            raise FileExistsError(f"folder: want a new or empty folder, got {path} with {found[0]!r} in it")
        return cls(path, FolderLock(path))

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Takes the folder of an earlier run, to resume it.

        Raises:
            FileNotFoundError: There is none, or it holds no checkpoint.
            BlockingIOError: Another process holds it.
        """
        path = Path(path)
        if not (path / "checkpoints").is_dir():
            raise FileNotFoundError(f"folder: want one with checkpoints to resume from, got {path}")
        folder = cls(path, FolderLock(path))
        try:
            folder._sweep()
            if not folder.saved():
                raise FileNotFoundError(f"folder: want one with checkpoints to resume from, got {path}")
        except BaseException:
            folder.close()
            raise
        return folder

    @property
    def fresh(self) -> bool:
        """Whether no run has written here yet."""
        return not self.checkpoints.exists() and not self.records.path.exists()

    def begin(self) -> None:
        """Prepares a fresh folder for its first checkpoint."""
        self.checkpoints.mkdir()
        self.records.create()

    def saved(self) -> list[Path]:
        """Checkpoints from the earliest to the latest."""
        return _saved(self.checkpoints)

    def latest(self) -> Snapshot:
        """Reads the latest checkpoint; see `latest_checkpoint`."""
        return latest_checkpoint(self.path)

    def save(self, name: str, snapshot: Snapshot) -> Path:
        """Writes a checkpoint and returns its path; see `write_checkpoint`."""
        path = self.checkpoints / name
        write_checkpoint(path, snapshot)
        return path

    def mark_best(self, name: str, *, metric: str, value: float) -> None:
        """Points ``best.json`` at a checkpoint."""
        content = {"schema_version": 1, "checkpoint": name, "metric": metric, "value": value}
        replace_text(self.checkpoints / "best.json", json.dumps(content, indent=1) + "\n")

    def prune(self, *, keep_every: int | None, best: int | None) -> None:
        """Removes all but the latest, the best epoch's and those of every `keep_every`-th epoch."""
        for path in self.saved()[:-1]:
            match = _NAME.fullmatch(path.name)
            assert match is not None  # saved() lists nothing else
            epoch, inside = int(match[1]), match[2] is not None
            periodic = keep_every is not None and epoch > 0 and epoch % keep_every == 0
            if inside or not (periodic or epoch == best):
                remove_checkpoint(path)

    def close(self) -> None:
        """Lets another process use the folder."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sweep(self) -> None:
        for path in self.checkpoints.glob(f"{TEMPORARY}*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def latest_checkpoint(folder: Path | str) -> Snapshot:
    """Reads the latest checkpoint of a run folder. Damaged ones are an error, never passed over."""
    saved = _saved(Path(folder) / "checkpoints")
    try:
        return read_checkpoint(saved[-1])
    except ValueError as error:
        if len(saved) < 2:
            raise
        raise ValueError(f"{error}; without this folder the run goes on from {saved[-2].name}") from error


def _saved(checkpoints: Path) -> list[Path]:
    found = []
    for path in checkpoints.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            found.append((int(match[1]), int(match[2] or 0), path))
    return [path for *_, path in sorted(found)]


def best_checkpoint(folder: Path | str) -> Path:
    """Returns the checkpoint that ``best.json`` of a run folder points at.

    Raises:
        FileNotFoundError: The run has marked none.
        ValueError: The pointer is damaged.
    """
    pointer = Path(folder) / "checkpoints" / "best.json"
    if not pointer.is_file():
        raise FileNotFoundError(f"folder: want a run with {pointer.name}, got {folder}")
    try:
        name = json.loads(pointer.read_bytes())["checkpoint"]
        if not _NAME.fullmatch(name):
            raise ValueError(name)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{pointer}: want the name of a checkpoint, got a damaged pointer") from error
    return pointer.with_name(name)
