"""Makes spans and a report out of the labels that a reader found in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moola_data.import_report import Action, ImportNote, ImportReport
from moola_data.schema import Bars, Spans

SEPARATOR = "/"
"""Between label and type where a format has room for one name only."""


class Labelled(NamedTuple):
    """A label whose bars are found: both inclusive."""

    row: int
    place: str
    found: str
    start: int
    end: int
    names: tuple[str, ...]


class Intake:
    """Collects the labels of one file, and for each what happened to it."""

    def __init__(self, bars: Bars, *, format_name: str, source: str) -> None:
        self.bars, self.format, self.source = bars, format_name, source
        self.labels = 0
        self.labelled: list[Labelled] = []
        self.notes: list[ImportNote] = []

    def note(self, row: int, *, place: str, action: Action, reason: str, found: str, used: str = "") -> None:
        """Writes down what happened to a row."""
        note = ImportNote(row=row, place=place, action=action, reason=reason, found=found, used=used)
        self.notes.append(note)

    def finish(
        self, *, types: Sequence[str], label: str | None, annotator: str
    ) -> tuple[Spans, ImportReport]:
        """Sorts names into label and type, refuses what cannot be a span, and reports.

        Args:
            types: Names that are types, in class order. What else a label is called is its `label`.
            label: Which label to take; None if there is one only, "*" for all.
            annotator: Whose spans these are.

        Returns:
            The spans in the order of the file, of weight 1, and the report.

        Raises:
            ValueError: Several labels, none chosen; or the one chosen is not there.
        """
        number = {name: i for i, name in enumerate(types)}
        if len(number) < len(types):
            raise ValueError(f"types: want each name once, got {tuple(types)}")
        parted = [
            (one, [n for n in one.names if n not in number], [number[n] for n in one.names if n in number])
            for one in self.labelled
        ]
        chosen = _choose([SEPARATOR.join(rest) for _, rest, _ in parted], label)
        kept: dict[tuple[int, int], tuple[Labelled, int]] = {}
        for one, rest, kinds in parted:
            name = SEPARATOR.join(rest)
            obstacle = self._obstacle(one, kinds, kept)
            if label not in (None, "*") and name != chosen:
                self._drop(one, "ignored", f"label {name!r} was not asked for")
            elif obstacle:
                self._drop(one, "refused", obstacle)
            else:
                kept[one.start, one.end] = (one, kinds[0] if kinds else -1)
        spans = Spans(
            start=np.array([start for start, _ in kept], np.int64),
            end=np.array([end for _, end in kept], np.int64),
            type=np.array([kind for _, kind in kept.values()], np.int64),
            weight=np.ones(len(kept), np.float32),
            type_names=tuple(types),
            annotator=annotator,
            label=chosen,
        )
        report = ImportReport(
            format=self.format,
            source=self.source,
            labels=self.labels,
            kept=len(kept),
            notes=tuple(sorted(self.notes, key=lambda note: note.row)),
        )
        return spans, report

    def _obstacle(
        self, one: Labelled, kinds: list[int], kept: dict[tuple[int, int], tuple[Labelled, int]]
    ) -> str:
        if self.bars.segment[one.start] != self.bars.segment[one.end]:
            return "reaches across a barrier: bars of two segments"
        if len(set(kinds)) > 1:
            return f"has several types: {', '.join(one.names)}"
        if (one.start, one.end) in kept:
            first = kept[one.start, one.end][0]
            return f"marks the same bars as {first.place}"
        return ""

    def _drop(self, one: Labelled, action: Action, reason: str) -> None:
        self.note(one.row, place=one.place, action=action, reason=reason, found=one.found)


def span_names(spans: Spans) -> list[tuple[str, ...]]:
    """Gives each span's names as a foreign file holds them: its label, its type, or both.

    Raises:
        ValueError: A span has neither, a name would be read back as another, or weights are not 1, which
            foreign files cannot say.
    """
    weighted = np.flatnonzero(spans.weight != 1)
    if weighted.size:
        row = weighted[0]
        raise ValueError(
            f"weight: want 1, as the format has no weights, got {spans.weight[row]} in row {row}"
        )
    for name in (spans.label, *spans.type_names):
        if SEPARATOR in name or name != name.strip() or not name.isprintable():
            raise ValueError(
                f"spans: want printable names without {SEPARATOR!r} and outer spaces, got {name!r}"
            )
    if spans.label in spans.type_names and spans.label:
        raise ValueError(f"spans: want a label that is no type, got {spans.label!r}")
    if "" in spans.type_names:
        raise ValueError("type_names: want names, got ''")
    if spans.label == "*":
        raise ValueError("label: want a name other than '*', which stands for all")
    kinds = [spans.type_names[kind] if kind >= 0 else "" for kind in spans.type]
    found = [tuple(name for name in (spans.label, kind) if name) for kind in kinds]
    if () in found:
        row = found.index(())
        raise ValueError(
            f"spans: want a label or a type to write, got neither in row {row}; "
            "give them one: spans.model_copy(update={'label': 'expansion'})"
        )
    return found


def split_names(text: str) -> tuple[str, ...]:
    """Reads names written as one text."""
    return tuple(name for name in (part.strip() for part in text.split(SEPARATOR)) if name)


def _choose(found: list[str], label: str | None) -> str:
    names = list(dict.fromkeys(found))
    if label == "*":
        return "+".join(names)
    if label is None:
        if len(names) > 1:
            raise ValueError(f"label: want one of {names} chosen, got None")
        return names[0] if names else ""
    if names and label not in names:
        raise ValueError(f"label: want one of {names}, got {label!r}")
    return label
