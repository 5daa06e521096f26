"""What the commands say to the person in front of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

from moola_eval.markdown import criteria_table
from moola_train.recipes.run import Outcome
from moola_train.schema import SweepRow


def tell(words: str) -> None:
    """Says one thing on the error stream."""
    print(f"moola: {words}", file=sys.stderr)


def tell_outcome(outcome: Outcome) -> int:
    """Prints the criteria and where the report lies; returns the exit code 0."""
    print(criteria_table(outcome.report.criteria))
    print(f"\nreport: {outcome.folder / 'report.md'}")
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
