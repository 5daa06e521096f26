"""A journal entry: what was booked when, under which text, on which accounts."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

DEBIT, CREDIT = 0, 1
Side = Literal[0, 1]


class JournalLine(BaseModel):
    """One line of an entry: an amount on one side of one account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    """Code of the account."""
    side: Side
    """0 debit, 1 credit."""
    amount: float = Field(ge=0, allow_inf_nan=False)
    """In the entry's currency, 0 or more."""


class JournalQuery(BaseModel):
    """What is known before anything is booked: the text of an entry; its day, currency, type if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    text: str
    """As it was written; `moola_data.journal_text.normalise_text` is applied where it is read."""
    date: datetime.date | None = None
    currency: str = ""
    type: str = ""


class JournalEntry(JournalQuery):
    """What was booked under one text.

    >>> rent = [JournalLine(account=code, side=side, amount=900) for code, side in [("7100", 0), ("1200", 1)]]
    >>> entry = JournalEntry(id="1", text="Rent March", date="2024-03-01", lines=rent)
    >>> [line.account for line in entry.debits], entry.imbalance
    (['7100'], 0.0)
    """

    lines: tuple[JournalLine, ...]

    @field_validator("lines")
    @classmethod
    def _books_something(cls, lines: tuple[JournalLine, ...]) -> tuple[JournalLine, ...]:
        if not lines:
            raise ValueError("want 1 or more lines, got none")
        return lines

    @property
    def debits(self) -> tuple[JournalLine, ...]:
        """The lines on the debit side."""
        return tuple(line for line in self.lines if line.side == DEBIT)

    @property
    def credits(self) -> tuple[JournalLine, ...]:
        """The lines on the credit side."""
        return tuple(line for line in self.lines if line.side == CREDIT)

    @property
    def imbalance(self) -> float:
        """Debits minus credits; 0 for an entry that balances."""
        return sum(x.amount for x in self.debits) - sum(x.amount for x in self.credits)
