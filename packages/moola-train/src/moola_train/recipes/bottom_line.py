"""What a run's report comes to, in two sentences: its span F1, beside what chance scores."""

from __future__ import annotations

import math
from typing import Literal

from moola_eval.markdown import number, span
from moola_eval.schema import MetricReport, Report

Verdict = Literal["better than chance", "not told apart from chance", "worse than chance", "undefined"]
ORIGIN = (
    "Metrics whose names begin with origin_ are the first system's own, kept so that its claims can be "
    "compared: at a fixed threshold of 0.5 and without matching of spans. Read span_f1 first."
)


def bottom_line(report: Report) -> str:
    """Tells span F1, the strongest chance level, the skill with its interval, and what follows from it.

    Args:
        report: With the metric span_f1.

    Returns:
        Two sentences, and a third where the blocks are few.
    """
    metric = report.metric("span_f1")
    chance = "chance is undefined"
    if metric.strongest_null is not None:
        chance = f"the strongest chance level, {metric.strongest_null}, "
        chance += f"scores {number(metric.nulls[metric.strongest_null])}"
    share = f"{100 * report.level:g} %"
    skill = f"Skill {number(metric.skill, 2)}"
    if metric.skill_interval is not None:
        skill += f" ({share}: {span(metric.skill_interval)})"
    words = [f"Span F1 {number(metric.value)} on the test part; {chance}.", f"{skill}: {verdict(metric)}."]
    words += [note for note in report.notes if note.startswith("Intervals rest on")]
    return " ".join(words)


def verdict(metric: MetricReport) -> Verdict:
    """Says on which side of 0 the interval of the skill lies; undefined where there is none."""
    interval = metric.skill_interval
    if interval is None or math.isnan(interval.low) or math.isnan(interval.high):
        return "undefined"
    if interval.low > 0:
        return "better than chance"
    return "worse than chance" if interval.high < 0 else "not told apart from chance"
