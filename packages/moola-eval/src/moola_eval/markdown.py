"""A report as Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moola_eval.schema import Criterion, Interval, MetricReport, Report, Threshold


def report_markdown(report: Report) -> str:
    """Writes a report: data, notes, criteria, metrics, chance levels, definitions."""
    data = report.data
    lines = [
        "# Evaluation",
        "",
        f"{data.n_windows} windows of {data.length} bars in {data.n_groups} blocks; {data.n_true} true spans "
        f"({number(100 * data.positive_rate, 3)} % of the bars), {data.n_pred} predicted; "
        f"{data.n_empty} windows without a span.",
        "",
        *(_provenance("Spans", report.threshold)),
        *(_provenance("Bars", report.bar_threshold)),
        *(f"- {note}" for note in report.notes),
        "",
        "## Criteria",
        "",
        criteria_table(report.criteria),
        "",
        "## Metrics",
        "",
        metrics_table(report.metrics, level=report.level),
        "",
        "## Anatomy",
        "",
        f"True spans: {_listed(report.true_anatomy)}. Predicted spans: {_listed(report.pred_anatomy)}.",
        "",
        "## Chance levels",
        "",
        nulls_table(report),
        "",
        *(f"- **{name}**: {meaning}" for name, meaning in report.nulls.items()),
        "",
        "## Definitions",
        "",
        *(f"- **{m.name}**: {m.definition}{_counts(m)}" for m in report.metrics),
        "",
    ]
    return "\n".join(lines)


def criteria_table(criteria: tuple[Criterion, ...]) -> str:
    """Writes criteria as a table, the model beside chance."""
    rows = [
        [
            c.name,
            f"`{c.metric}`",
            f"{c.operator} {c.bound:g}",
            number(c.value),
            number(c.null) + (" (passes too)" if c.null_passes else ""),
            {True: "met", False: "missed", None: "no such output"}[c.passed],
        ]
        for c in criteria
    ]
    return table(["criterion", "metric", "wanted", "model", "chance", "result"], rows)


def metrics_table(metrics: tuple[MetricReport, ...], *, level: float) -> str:
    """Writes metrics with interval, strongest chance level, ceiling and skill."""
    rows = [
        [
            m.name,
            number(m.value),
            span(m.interval),
            "-" if m.strongest_null is None else f"{number(m.nulls[m.strongest_null])} ({m.strongest_null})",
            number(m.ceiling) + ("" if m.ceiling_known else " (unknown)"),
            number(m.skill),
            span(m.skill_interval),
        ]
        for m in metrics
    ]
    share = f"{100 * level:g} %"
    return table(["metric", "value", share, "strongest chance", "ceiling", "skill", share], rows)


def nulls_table(report: Report) -> str:
    """Writes what each chance level scores on each metric."""
    names = list(report.nulls)
    rows = [
        [m.name, number(m.value), *(number(m.nulls[n]) if n in m.nulls else "" for n in names)]
        for m in report.metrics
    ]
    return table(["metric", "model", *names], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Writes a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float, digits: int = 4) -> str:
    """Writes a number; undefined is a word, never 0."""
    return "undefined" if math.isnan(value) else f"{value:.{digits}g}"


def span(interval: Interval | None) -> str:
    """Writes an interval."""
    return "-" if interval is None else f"{number(interval.low, 3)} to {number(interval.high, 3)}"


def _provenance(what: str, threshold: Threshold | None) -> list[str]:
    if threshold is None:
        return []
    return [
        f"- {what}: threshold {threshold.threshold:.6g}, chosen for {threshold.metric} on "
        f"{threshold.n_windows} windows ({threshold.fingerprint[:19]}) where it scores "
        f"{number(threshold.value)}; within one standard error from {number(threshold.plateau[0])} "
        f"to {number(threshold.plateau[1])}."
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())


def _counts(metric: MetricReport) -> str:
    if len(metric.counts) > 4:
        return ""
    return " (" + ", ".join(f"{name} {value:g}" for name, value in metric.counts.items()) + ")"
