"""The result of a sweep as one tidy table: a row a job, for a spreadsheet and for a reader."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from moola_train.schema import SweepRow

Cells = Mapping[str, JsonValue]


class Labelled(NamedTuple):
    """A job's row with what tells it from the others."""

    labels: Cells
    row: SweepRow


def as_csv(jobs: Sequence[Labelled]) -> str:
    """Every job with all its numbers; an undefined number and one that a failed job has not is empty."""
    labels = list(dict.fromkeys(name for job in jobs for name in job.labels))
    numbers = list(dict.fromkeys(name for job in jobs for name in job.row.result or {}))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*labels, "status", "attempt", "seconds", *numbers, "error"])
    for given, row in jobs:
        result = row.result or {}
        writer.writerow(
            [
                *(_cell(given.get(name)) for name in labels),
                row.status,
                row.attempt,
                f"{row.seconds:.3f}",
                *(_cell(result.get(name)) for name in numbers),
                _first_line(row),
            ]
        )
    return text.getvalue()


def as_markdown(jobs: Sequence[Labelled], columns: Mapping[str, str]) -> str:
    """A table of chosen numbers; failed jobs are listed below it.

    Args:
        jobs: In the order of the rows.
        columns: By number its title.
    """
    labels = list(dict.fromkeys(name for job in jobs for name in job.labels))
    known = {name for job in jobs for name in job.row.result or {}}
    shown = {name: title for name, title in columns.items() if name in known}
    titles = [*labels, *shown.values()]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for given, row in jobs:
        if row.result is None:
            continue
        cells = [_cell(given.get(name)) for name in labels] + [_short(row.result.get(n)) for n in shown]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    failed = [job for job in jobs if job.row.result is None]
    if failed:
        lines += ["", f"{len(failed)} of {len(jobs)} failed:", ""]
    for given, row in failed:
        told = ", ".join(f"{name}={_cell(value)}" for name, value in given.items())
        lines.append(f"* {told}: {_first_line(row)}")
    return "\n".join(lines) + "\n"


def _cell(value: JsonValue) -> str:
    return "" if value is None else str(value)


def _short(value: JsonValue) -> str:
    return f"{value:.3f}" if isinstance(value, float) else _cell(value) or "undefined"


def _first_line(row: SweepRow) -> str:
    return "" if row.error is None else row.error.splitlines()[0]
