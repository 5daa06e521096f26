"""Records on disk: one JSON line a number, durable after every epoch, readable after a kill."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from moola_train.schema import Record

WALL_CLOCK = frozenset({"epoch_time"})
"""Names of records that measure time: the only ones that differ between a straight and a resumed run."""


class RecordFile:
    """An append-only file of records. It is opened anew for each epoch, so a removed folder is noticed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Makes the file, empty. FileExistsError if there is one."""
        self.path.open("xb").close()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size

    def append(self, records: Iterable[Record]) -> None:
        """Writes the records and returns when they are on the disk."""
        lines = "".join(record.model_dump_json() + "\n" for record in records).encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)  # no O_CREAT: see the class
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            view = memoryview(lines)
            while view:
                view = view[file.write(view) or 0 :]
            os.fsync(file.fileno())

    def cut(self, size: int) -> None:
        """Drops everything after the first `size` bytes: epochs that a resumed run will do again.

        Raises:
            ValueError: The file is shorter than that, so records the checkpoint counts on are lost.
        """
        if self.size < size:
            raise ValueError(f"{self.path.name}: want at least {size} bytes of records, got {self.size}")
        with self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def read_records(path: Path | str) -> list[Record]:
    """Reads a records file. A last line without its line end was torn by a kill and is left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A whole line is no record; names the row.
    """
    content = Path(path).read_bytes()
    records = []
    for row, line in enumerate(content.split(b"\n")[:-1]):
        try:
            records.append(Record.model_validate_json(line))
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise ValueError(f"{path}: want a record, got {line[:80]!r} in row {row} ({what})") from error
    return records
