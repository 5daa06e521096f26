"""Entries from a table with one row a line, checked by a policy, and back."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from moola_data.catalogue import Catalogue
from moola_data.journal_entry import CREDIT, DEBIT, JournalEntry, JournalLine
from moola_data.journal_policy import Action, JournalNote, JournalPolicy, JournalReport, Problem
from moola_data.journal_text import normalise_text

COLUMNS = ("entry", "date", "text", "currency", "type", "account", "debit", "credit")
NEEDED = ("entry", "text", "account", "debit", "credit")
STRICT = JournalPolicy()


@dataclass(frozen=True, slots=True)
class Journal:
    """Entries that passed, in the order of their first rows, and what happened to the others."""

    entries: tuple[JournalEntry, ...]
    report: JournalReport


def entries_of_table(
    table: pd.DataFrame, *, catalogue: Catalogue, policy: JournalPolicy = STRICT, source: str = "table"
) -> Journal:
    """Makes entries of a table with one row a line.

    Args:
        table: Columns entry (id; rows of one entry need not be neighbours), text, account (code), debit,
            credit (numbers, empty for none), and, where known, date (a day, ISO text or timestamp; empty for
            none), currency, type. Date, text, currency and type of an entry are the same in all its rows.
            A row without account and amounts declares an entry without a line. Other columns are ignored.
        catalogue: The accounts there are.
        policy: What to do with entries that do not fit.
        source: Where the table comes from, for errors and the report.

    Returns:
        The entries that passed, unknown accounts and over-long entries dealt with, and the report.

    Raises:
        ValueError: A column is missing, a number, date or id is none, rows of one entry contradict each
            other, or a problem arose whose policy is "error"; with the row.
    """
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise ValueError(f"{source}: want the columns {', '.join(NEEDED)}, got none named {missing[0]!r}")
    columns = {name: table[name].tolist() for name in COLUMNS if name in table.columns}
    rows_of: dict[str, list[int]] = {}
    for row, value in enumerate(columns["entry"]):
        if _is_missing(value) or not _text_of(value):
            raise ValueError(f"{source}: entry: want an id, got {value!r} in row {row}")
        rows_of.setdefault(_text_of(value), []).append(row)
    kept, notes = [], []
    for name, rows in rows_of.items():
        inspection = _Inspection(name, rows, columns, catalogue, policy, source)
        entry = inspection.entry()
        notes.extend(inspection.notes)
        if entry is not None:
            kept.append(entry)
    report = JournalReport(source=source, entries=len(rows_of), kept=len(kept), notes=tuple(notes))
    return Journal(tuple(kept), report)


def table_of_entries(entries: Iterable[JournalEntry]) -> pd.DataFrame:
    """Makes the table with one row a line that `entries_of_table` reads."""
    rows = [
        (
            entry.id,
            None if entry.date is None else entry.date.isoformat(),
            entry.text,
            entry.currency,
            entry.type,
            line.account,
            line.amount if line.side == DEBIT else math.nan,
            line.amount if line.side == CREDIT else math.nan,
        )
        for entry in entries
        for line in entry.lines
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _DroppedError(Exception):
    """The policy leaves the entry out."""


class _Inspection:
    """One entry on its way through the policy."""

    def __init__(
        self,
        name: str,
        rows: Sequence[int],
        columns: Mapping[str, Sequence[object]],
        catalogue: Catalogue,
        policy: JournalPolicy,
        source: str,
    ) -> None:
        self.name, self.rows, self.columns = name, rows, columns
        self.catalogue, self.policy, self.source = catalogue, policy, source
        self.notes: list[JournalNote] = []

    def entry(self) -> JournalEntry | None:
        try:
            text = self._text()
            lines = [line for row in self.rows for line in self._lines(row)]
            self._check_whole(lines)
            if len(lines) > self.policy.max_lines:
                found = f"{len(lines)} lines, want at most {self.policy.max_lines}"
                self._meet("over_long", self.policy.over_long, self.rows[0], found)
                lines = keep_largest(lines, self.policy.max_lines)
        except _DroppedError:
            return None
        return JournalEntry(
            id=self.name,
            text=text,
            date=self._date(),
            currency=self._word("currency"),
            type=self._word("type"),
            lines=tuple(lines),
        )

    def _meet(self, problem: Problem, policy: str, row: int, found: str) -> None:
        """Raises, drops, or notes what will be done."""
        if policy == "error":
            raise ValueError(
                f"{self.source}: {problem}: got {found} in entry {self.name!r}, row {row}; a JournalPolicy "
                "may say what to do"
            )
        actions: dict[str, Action] = {
            "drop": "dropped",
            "truncate": "truncated",
            "flip": "flipped",
            "divide": "divided",
            "leave_out": "line_left_out",
            "keep": "kept",
        }
        action = actions[policy]
        self.notes.append(JournalNote(entry=self.name, row=row, problem=problem, action=action, found=found))
        if action == "dropped":
            raise _DroppedError

    def _text(self) -> str:
        value = self._shared("text")
        text = "" if value is None else str(value)
        if not normalise_text(text):
            self._meet("no_text", self.policy.no_text, self.rows[0], repr(value))
            return ""
        return text

    def _lines(self, row: int) -> list[JournalLine]:
        debit, credit = self._amount("debit", row), self._amount("credit", row)
        code = self.columns["account"][row]
        if debit == 0 and credit == 0:
            # A row that names no account either only declares that there is such an entry.
            if not _is_missing(code):
                self._meet("no_amount", self.policy.no_amount, row, f"no amount on account {code}")
            return []
        known = None if _is_missing(code) else _text_of(code)
        if known not in self.catalogue.numbers:
            self._meet("unknown_account", self.policy.unknown_account, row, f"account {known!r}")
        assert known is not None
        if debit != 0 and credit != 0:
            found = f"debit {debit} and credit {credit}"
            self._meet("both_sided_line", self.policy.both_sided_line, row, found)
        lines = []
        for side, amount in ((DEBIT, debit), (CREDIT, credit)):
            if amount < 0:
                found = f"{'credit' if side else 'debit'} {amount}"
                self._meet("negative_amount", self.policy.negative_amount, row, found)
                side, amount = CREDIT + DEBIT - side, -amount
            if amount:
                lines.append(JournalLine.model_validate({"account": known, "side": side, "amount": amount}))
        return lines

    def _check_whole(self, lines: Sequence[JournalLine]) -> None:
        row = self.rows[0]
        if not lines:
            self._meet("empty_entry", self.policy.empty_entry, row, "no line with an amount")
        sides = {line.side for line in lines}
        if len(sides) == 1:
            self._meet(
                "one_sided", self.policy.one_sided, row, "credits only" if CREDIT in sides else "debits only"
            )
        gap = math.fsum(line.amount if line.side == DEBIT else -line.amount for line in lines)
        if abs(gap) > 0.01 * len(lines) + 1e-9:
            self._meet("unbalanced", self.policy.unbalanced, row, f"debits minus credits {gap:.2f}")

    def _amount(self, column: str, row: int) -> float:
        value = self.columns[column][row]
        if _is_missing(value):
            return 0.0
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{self.source}: {column}: want a finite number, got {value!r} in row {row}")
        return number

    def _date(self) -> datetime.date | None:
        value = self._shared("date")
        if value is None:
            return None
        try:
            return pd.Timestamp(value if isinstance(value, datetime.date) else str(value)).date()
        except ValueError:
            raise ValueError(
                f"{self.source}: date: want a day, got {value!r} in row {self.rows[0]}"
            ) from None

    def _word(self, column: str) -> str:
        value = self._shared(column)
        return "" if value is None else str(value)

    def _shared(self, column: str) -> object | None:
        """Returns what all rows of the entry say in a column, None for nothing."""
        if column not in self.columns:
            return None
        values = [self.columns[column][row] for row in self.rows]
        found = [None if _is_missing(value) else value for value in values]
        for row, value in zip(self.rows, found, strict=True):
            if value != found[0]:
                raise ValueError(
                    f"{self.source}: {column}: want the same in all rows of entry {self.name!r}, "
                    f"got {found[0]!r} and {value!r} in row {row}"
                )
        return found[0]


def keep_largest(lines: Sequence[JournalLine], count: int) -> list[JournalLine]:
    """Keeps the largest lines of each side by turns, debits first, until there are `count`.

    The order of the lines stays; of equal amounts the first. Of 2 or more, a side that has a line keeps one.
    """
    by_side = [
        sorted((i for i, line in enumerate(lines) if line.side == side), key=lambda i: -lines[i].amount)
        for side in (DEBIT, CREDIT)
    ]
    turns = sorted((turn, side, i) for side, rows in enumerate(by_side) for turn, i in enumerate(rows))
    return [lines[i] for i in sorted(i for _, _, i in turns[:count])]


def _is_missing(value: object) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return isinstance(value, str) and not value.strip()


def _text_of(value: object) -> str:
    """Returns an id or code as text; a float that is whole is written as the whole number."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
