"""The report of a run as Markdown: what it comes to, where the numbers come from, then the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from moola_eval.schema import Report
from moola_train.recipes.bottom_line import ORIGIN, bottom_line
from moola_train.recipes.decision import Marking
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_in_words import run_in_words


def report_text(report: Report, config: RunConfig, notes: Sequence[str], *, marking: Marking) -> str:
    """Composes the file ``report.md``.

    Args:
        report: On the test part, with all criteria.
        config: The run.
        notes: Sentences that a reader has to know first.
        marking: How files are marked.

    Returns:
        Markdown.
    """
    place = run_in_words(config, marking, quote="`")
    said = "\n>\n".join(f"> {note}" for note in notes)
    return (
        "\n\n".join(["# Run report", bottom_line(report), said, place, ORIGIN, report.to_markdown()]) + "\n"
    )
