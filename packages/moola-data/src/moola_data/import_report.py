"""What an import of foreign labels did to each of them."""

from __future__ import annotations

from typing import Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

Action = Literal["kept", "snapped", "clipped", "split", "refused", "ignored"]
CHANGES: tuple[Action, ...] = ("snapped", "clipped", "split", "refused", "ignored")
LOST: tuple[Action, ...] = ("refused", "ignored")
"""Actions after which a row of the file has no span."""


class ImportNote(BaseModel):
    """One thing that happened to one row of the file. A row may have several notes, or none if it fits.

    * "kept": odd, but taken as it stands;
    * "snapped": an end lay between bars and was moved to the nearest;
    * "clipped": an end lay outside the bars and was moved to their edge;
    * "split": a run of labelled points is broken here by a barrier or a missing bar;
    * "refused": no span can be made of it;
    * "ignored": it was not asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int = Field(ge=0)
    """Counted from 0: the data row of a table, the line of a text, the label's number in JSON."""
    place: str
    """Where in the file that is, in the file's own terms."""
    action: Action
    reason: str
    found: str
    """What the file says."""
    used: str = ""
    """What was made of it; "" where nothing was."""


class ImportReport(BaseModel):
    """Everything that an import changed or left out: labels = kept + refused + ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    source: str
    labels: int = Field(ge=0)
    """Labels that the file holds."""
    kept: int = Field(ge=0)
    """Labels of which spans were made, a span each, changed or not."""
    notes: tuple[ImportNote, ...] = ()

    @model_validator(mode="after")
    def _every_row_is_accounted_for(self) -> Self:
        lost = len({note.row for note in self.notes if note.action in LOST})
        if self.kept + lost != self.labels:
            raise ValueError(f"kept: want {self.labels - lost} of {self.labels} labels, got {self.kept}")
        return self

    def count(self, action: Action) -> int:
        """Counts the rows to which something happened, each once."""
        return len({note.row for note in self.notes if note.action == action})

    @property
    def is_exact(self) -> bool:
        """Whether every label of the file became a span without any change."""
        return all(note.action in ("kept", "split") for note in self.notes)

    def table(self) -> pd.DataFrame:
        """Gives the notes as a table: row, place, action, reason, found, used."""
        return pd.DataFrame([note.model_dump() for note in self.notes], columns=list(ImportNote.model_fields))

    def __str__(self) -> str:
        done = [(action, self.count(action)) for action in CHANGES]
        counts = [f"{count} {action}" for action, count in done if count]
        told = f" ({', '.join(counts)})" if counts else ""
        return f"{self.source}: {self.kept} of {self.labels} labels became spans{told}"
