"""Says how to go on with a run that Ctrl-C, SIGTERM or a full disk has stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def going_on(folder: Path) -> Iterator[None]:
    """Adds the command that goes on to what stops the block, if a checkpoint of the run has been saved.

    Args:
        folder: Of the run.

    Raises:
        KeyboardInterrupt: As the block.
        OSError: As the block.
    """
    command = f"go on with: moola resume {folder}"
    try:
        yield
    except KeyboardInterrupt as interruption:
        said = str(interruption) or "the report is not written"
        if command in said or not _saved(folder):
            raise
        raise KeyboardInterrupt(f"{said.partition(', `resume` goes on')[0]}; {command}") from None
    except OSError as error:
        if error.strerror is None or command in error.strerror or not _saved(folder):
            raise
        words = f"{error.strerror}; what was saved stays; {command}"
        raise OSError(error.errno, words, error.filename) from error


def _saved(folder: Path) -> bool:
    return any(folder.glob("**/checkpoints/epoch_*"))
