"""A file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file beside the target; at the end it is flushed to disk and moved into the target's place.

    Raises:
        FileNotFoundError: There is no folder to write into.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path: want a file in a folder that exists, got {target}")
    handle, scratch = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # A scratch file is private; the finished one gets the rights that a plain open() would give.
        mask = os.umask(0)
        os.umask(mask)
        Path(scratch).chmod(0o666 & ~mask)
        Path(scratch).replace(target)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file in one step; raises as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(content)
