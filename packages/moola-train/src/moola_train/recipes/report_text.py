"""The report of a run as Markdown: what it comes to, where the numbers come from, then the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from moola_eval.schema import Report
from moola_train.recipes.bottom_line import ORIGIN, bottom_line
from moola_train.recipes.run_config import RunConfig


def report_text(report: Report, config: RunConfig, notes: Sequence[str]) -> str:
    """Composes the file ``report.md``.

    Args:
        report: On the test part, with all criteria.
        config: The run.
        notes: Sentences that a reader has to know first.

    Returns:
        Markdown.
    """
    place = (
        f"Recipe `{config.recipe}`, {config.model.preset} network, {config.fit.epochs} epochs, "
        f"seed {config.fit.seed}. Epoch and threshold were chosen on the inner part; all below is scored on "
        "the test part, the last in time. One run of one seed says nothing about the spread over seeds. "
        "`moola predict` averages half-overlapping windows where the scores below are of single windows: its "
        "marks differ slightly."
    )
    said = "\n>\n".join(f"> {note}" for note in notes)
    return (
        "\n\n".join(["# Run report", bottom_line(report), said, place, ORIGIN, report.to_markdown()]) + "\n"
    )
