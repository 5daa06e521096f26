"""``source.json`` of a journal's run: where its entries lie and what they were, to go on with it later."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

from pydantic import BaseModel, ConfigDict

from moola_data.journal_entry import JournalEntry

NAME = "source.json"


class JournalGiven(BaseModel):
    """What a journal's run was given beside its configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: Literal["journal files", "journal demo"]
    entries: str | None = None
    """Path of the entries, whole; None for the demo."""
    catalogue: str | None = None
    """Path of the accounts, whole, or ``uk``; None where a ledger opens its own."""
    policy: Literal["strict", "lenient"] = "strict"
    python: str | None = None
    """Interpreter with beancount; None: the running one."""
    seed: int | None = None
    """Of the demo's entries."""
    count: int | None = None
    """How many entries the demo draws."""
    entries_fingerprint: str
    """SHA-256 of the entries as they were read."""
    catalogue_fingerprint: str


def entries_fingerprint(entries: Sequence[JournalEntry]) -> str:
    """Returns the SHA-256 of entries in their order: of their values, not of a file.

    >>> len(entries_fingerprint([]))
    64
    """
    told = sha256()
    for entry in entries:
        told.update(entry.model_dump_json().encode() + b"\n")
    return told.hexdigest()
