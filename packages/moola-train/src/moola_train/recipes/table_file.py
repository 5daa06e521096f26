"""Tables on the disk, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

ENDINGS = (".csv", ".parquet")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes a table in one step.

    Args:
        path: CSV or Parquet.
        table: The rows.

    Raises:
        ValueError: The name ends neither on ``.csv`` nor on ``.parquet``.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"out: want a .csv or .parquet file, got {path.name!r}")
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".csv":
                table.to_csv(file, index=False, lineterminator="\n")
            else:
                table.to_parquet(file, index=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
