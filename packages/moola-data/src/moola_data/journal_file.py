"""Journals in files: CSV, Parquet or JSON with one row a line; see `journal_table.entries_of_table`."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from moola_data._atomic_file import write_atomically
from moola_data._table_file import refuse_separators
from moola_data.catalogue import Catalogue
from moola_data.journal_entry import JournalEntry
from moola_data.journal_policy import JournalPolicy
from moola_data.journal_table import COLUMNS, STRICT, Journal, entries_of_table, table_of_entries

ENDINGS = (".csv", ".parquet", ".pq", ".json")


def read_journal(
    path: str | os.PathLike[str], *, catalogue: Catalogue, policy: JournalPolicy = STRICT
) -> Journal:
    """Reads entries from a file.

    Args:
        path: A .csv (commas, header, UTF-8), .parquet, .pq or .json file (a list of objects) with one row, or
            object, a line and the columns that `entries_of_table` names. In CSV, an empty field is nothing.
        catalogue: The accounts there are.
        policy: What to do with entries that do not fit.

    Returns:
        The entries that passed and the report on all of them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The ending is unknown, the content is not what it says, or as `entries_of_table` raises.
    """
    import pyarrow as pa

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"journal: want a file, got {file}")
    ending = file.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"journal: want a file ending in {', '.join(ENDINGS)}, got {file}")
    try:
        if ending == ".csv":
            table = _read_csv(file)
        elif ending == ".json":
            table = _read_json(file)
        else:
            table = _read_parquet(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"journal: want a readable {ending} file, got {file}: {error}") from error
    return entries_of_table(table, catalogue=catalogue, policy=policy, source=file.name)


def write_journal(path: str | os.PathLike[str], entries: Iterable[JournalEntry]) -> None:
    """Writes entries as a file that `read_journal` reads, in one step.

    Raises:
        ValueError: The ending is unknown.
    """
    file, table = Path(path), table_of_entries(entries)
    ending = file.suffix.lower()
    if ending == ".csv":
        content = table.to_csv(index=False, lineterminator="\n").encode()
    elif ending == ".json":
        rows = [{k: v for k, v in row.items() if not pd.isna(v)} for row in table.to_dict("records")]
        content = (json.dumps(rows, ensure_ascii=False, indent=0) + "\n").encode()
    elif ending in (".parquet", ".pq"):
        sink = io.BytesIO()
        table.to_parquet(sink, index=False)
        content = sink.getvalue()
    else:
        raise ValueError(f"journal: want a file ending in {', '.join(ENDINGS)}, got {file}")
    write_atomically(file, content)


def _read_csv(file: Path) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import csv

    refuse_separators(file)
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pa.string()), null_values=[""], strings_can_be_null=True
    )
    parse = csv.ParseOptions(newlines_in_values=True)
    table = csv.read_csv(str(file), parse_options=parse, convert_options=options)
    return pd.DataFrame(table.to_pydict())


def _read_parquet(file: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        table = opened.read(columns=[name for name in opened.schema_arrow.names if name in COLUMNS])
    return pd.DataFrame(table.to_pydict(), dtype=object)


def _read_json(file: Path) -> pd.DataFrame:
    rows = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("want a list of objects, one a line of an entry")
    return pd.DataFrame(rows, dtype=object)
