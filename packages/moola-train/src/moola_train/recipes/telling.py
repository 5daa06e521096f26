"""What the commands say to the person in front of them."""

from __future__ import annotations

import json as text_of
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from shlex import quote

from moola_eval.markdown import criteria_table
from moola_train.recipes.bottom_line import bottom_line
from moola_train.recipes.run import Outcome
from moola_train.schema import SweepRow


def tell(words: str) -> None:
    """Says one thing on the error stream."""
    print(f"moola: {words}", file=sys.stderr)


def answer(words: str, result: Mapping[str, object], *, json: bool) -> None:
    """Prints what a command found out, once, on standard output.

    Args:
        words: For a person.
        result: The same for a program: what JSON can tell; numbers that are not finite become null.
        json: Whether a program asked.
    """
    if json:
        words = text_of.dumps(_finite(result), ensure_ascii=False, allow_nan=False)
    print(words)


def tell_outcome(outcome: Outcome, *, json: bool = False) -> int:
    """Prints the criteria, what they come to and what can be done now, or the report as JSON; returns 0."""
    folder = outcome.folder
    words = (
        criteria_table(outcome.report.criteria),
        "",
        bottom_line(outcome.report),
        "",
        f"report: {folder / 'report.md'}, as a page: {folder / 'report.html'}",
        f"to mark other bars: moola predict BARS --run {quote(str(folder))} --out marks.csv",
    )
    result = {
        "run": str(folder),
        "best_epoch": outcome.fitted.best_epoch,
        "report": text_of.loads(outcome.report.model_dump_json()),
    }
    answer("\n".join(words), result, json=json)
    return 0


def job_teller(names: dict[str, str]) -> Callable[[SweepRow, int, int], None]:
    """Says a line for every finished job of a sweep.

    Args:
        names: Of the jobs, by key.
    """

    def say(row: SweepRow, done: int, all_: int) -> None:
        failed = "" if row.error is None else ": " + row.error.splitlines()[0]
        tell(f"{done}/{all_} {names.get(row.key, row.key)}: {row.status} in {row.seconds:.0f} s{failed}")

    return say


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
