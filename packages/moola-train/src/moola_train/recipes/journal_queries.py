"""Files of entries that are not booked yet, and files of what is proposed for them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from moola_data.catalogue import Catalogue
from moola_data.journal_entry import JournalQuery
from moola_data.journal_text import normalise_text
from moola_train.recipes.catalogue_folder import Proposal
from moola_train.recipes.provenance import write_text

COLUMNS = ("entry", "date", "text", "currency", "type")
SIDES = ("debit", "credit")


class Queries(NamedTuple):
    """Entries to book.

    Attributes:
        queries: In the order of the file.
        without_text: How many of them have no text.
    """

    queries: list[JournalQuery]
    without_text: int


def read_queries(path: Path, *, keep_without_text: bool) -> Queries:
    """Reads entries to book: one row, or object, an entry.

    Args:
        path: A .csv, .parquet, .pq or .json file with the columns entry (id) and text and, where known, date,
            currency, type. Other columns are ignored.
        keep_without_text: Whether an entry without a text is booked by its date, currency and type alone.

    Returns:
        The entries, and how many have no text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing, an id is missing or stands twice, a date is none, or a text is
            missing and may not be; with the row.
    """
    if not path.is_file():
        raise FileNotFoundError(f"entries: want a file, got {path}")
    table = _table(path)
    for name in ("entry", "text"):
        if name not in table.columns:
            raise ValueError(f"{path.name}: want the columns entry and text, got none named {name!r}")
    rows = {name: table[name].tolist() for name in COLUMNS if name in table.columns}
    first: dict[str, int] = {}
    queries, without = [], 0
    for row in range(len(table)):
        said = {name: _said(values[row]) for name, values in rows.items()}
        name = said["entry"]
        if not name:
            raise ValueError(f"{path.name}: entry: want an id, got none in row {row}")
        if name in first:
            raise ValueError(
                f"{path.name}: entry: want each id once, got {name!r} in rows {first[name]}, {row}"
            )
        first[name] = row
        if not normalise_text(said["text"]):
            without += 1
            if not keep_without_text:
                raise ValueError(f"{path.name}: text: want a text, got none in entry {name!r}, row {row}")
        queries.append(
            JournalQuery(
                id=name,
                text=said["text"],
                date=_day(path, said.get("date", ""), row),
                currency=said.get("currency", ""),
                type=said.get("type", ""),
            )
        )
    return Queries(queries, without)


def write_proposals(path: Path, proposals: Sequence[Proposal], *, catalogue: Catalogue) -> None:
    """Writes a .csv file with a row a line: entry, account, name, side, probability (of the whole), stopped.

    Raises:
        ValueError: The ending is another.
    """
    if path.suffix.lower() != ".csv":
        raise ValueError(f"out: want a file ending in .csv, got {path}")
    rows = [
        {
            "entry": proposal.query.id,
            "account": code,
            "name": catalogue.accounts[catalogue.number(code)].name,
            "side": SIDES[side],
            "probability": round(proposal.probability, 6),
            "stopped": proposal.stopped,
        }
        for proposal in proposals
        for code, side in proposal.lines
    ]
    columns = ["entry", "account", "name", "side", "probability", "stopped"]
    text = io.StringIO()
    pd.DataFrame(rows, columns=columns).to_csv(text, index=False, lineterminator="\n")
    write_text(path, text.getvalue())


def _table(path: Path) -> pd.DataFrame:
    ending = path.suffix.lower()
    try:
        if ending == ".csv":
            return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        if ending in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if ending == ".json":
            return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")), dtype=object)
    except (OSError, ValueError) as error:
        raise ValueError(f"entries: want a readable {ending} file, got {path}: {error}") from error
    raise ValueError(f"entries: want a file ending in .csv, .parquet, .pq, .json, got {path}")


def _said(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _day(path: Path, said: str, row: int) -> object:
    if not said:
        return None
    try:
        return pd.Timestamp(said).date()
    except ValueError:
        raise ValueError(f"{path.name}: date: want a day, got {said!r} in row {row}") from None
