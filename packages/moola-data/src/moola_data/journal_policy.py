"""What is done with entries that a model cannot learn from as they stand, and the count of it."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

Problem = Literal[
    "unknown_account",
    "one_sided",
    "over_long",
    "negative_amount",
    "both_sided_line",
    "no_amount",
    "empty_entry",
    "no_text",
    "unbalanced",
]
Action = Literal["dropped", "truncated", "flipped", "divided", "line_left_out", "kept"]


class JournalPolicy(BaseModel):
    """What to do with each kind of problem; "error" everywhere unless told otherwise.

    "drop" leaves out the whole entry, never a line of it: half an entry would be a wrong lesson. Every action
    is noted in the `JournalReport`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown_account: Literal["error", "drop"] = "error"
    """A line on an account that is not in the catalogue, or on none."""
    one_sided: Literal["error", "drop"] = "error"
    """Debits only, or credits only."""
    over_long: Literal["error", "drop", "truncate"] = "error"
    """More lines than `max_lines`. "truncate" keeps the largest of each side by turns, 1 of each or more."""
    negative_amount: Literal["error", "drop", "flip"] = "error"
    """"flip" books it on the other side, with its sign changed."""
    both_sided_line: Literal["error", "drop", "divide"] = "error"
    """A line with a debit and a credit. "divide" makes two lines of it."""
    no_amount: Literal["error", "drop", "leave_out"] = "error"
    """A line with neither debit nor credit. "leave_out" takes it out of the entry."""
    empty_entry: Literal["error", "drop"] = "error"
    """No line at all, or none with an amount."""
    no_text: Literal["error", "drop", "keep"] = "error"
    """None, NaN or blank. "keep" makes it ""."""
    unbalanced: Literal["error", "drop", "keep"] = "keep"
    """Debits and credits differ by more than a hundredth a line: rounding, or several currencies."""
    max_lines: int = Field(default=40, ge=2)
    """Most lines of an entry."""


LENIENT = JournalPolicy(
    unknown_account="drop",
    one_sided="drop",
    over_long="truncate",
    negative_amount="flip",
    both_sided_line="divide",
    no_amount="leave_out",
    empty_entry="drop",
    no_text="keep",
)
"""Never an error over content: whatever can be kept is, and everything is counted."""


class JournalNote(BaseModel):
    """One thing that was done to one entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: str
    """The entry's id."""
    row: int = Field(ge=0)
    """Row of the table, from 0; the entry's first where it concerns all of it."""
    problem: Problem
    action: Action
    found: str


class JournalReport(BaseModel):
    """Everything that reading a journal changed or left out: entries = kept + dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    entries: int = Field(ge=0)
    """Entries that the source holds."""
    kept: int = Field(ge=0)
    notes: tuple[JournalNote, ...] = ()

    @model_validator(mode="after")
    def _every_entry_is_accounted_for(self) -> Self:
        dropped = len({note.entry for note in self.notes if note.action == "dropped"})
        if self.kept + dropped != self.entries:
            raise ValueError(f"kept: want {self.entries - dropped} of {self.entries}, got {self.kept}")
        return self

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """Entries by (problem, action); an entry with two problems counts in both."""
        return dict(Counter((p, a) for p, a, _ in {(n.problem, n.action, n.entry) for n in self.notes}))

    def table(self) -> pd.DataFrame:
        """Gives the notes as a table: entry, row, problem, action, found."""
        return pd.DataFrame([n.model_dump() for n in self.notes], columns=list(JournalNote.model_fields))

    def __str__(self) -> str:
        told = ", ".join(f"{count} {p} {a}" for (p, a), count in sorted(self.counts.items()))
        return f"{self.source}: {self.kept} of {self.entries} entries kept" + (f" ({told})" if told else "")
