"""The tables of the HTML report; every word that comes from outside is escaped here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from moola_eval.html_page import table
from moola_eval.markdown import number, span
from moola_eval.schema import MetricReport, Report, Threshold
from moola_eval.svg import Plot, legend


def head(report: Report, *, title: str, lead: Sequence[str] = ()) -> str:
    """Writes the title, `lead`, what was scored, a warning if it was in-sample, and the notes."""
    data = report.data
    lines = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(words)}</p>" for words in lead),
        f"<p>{data.n_windows} windows of {data.length} bars in {data.n_groups} blocks; {data.n_true} true "
        f"spans ({number(100 * data.positive_rate, 3)} % of the bars), {data.n_pred} predicted; "
        f"{data.n_empty} windows without a span.</p>",
        f'<p class="soft">Windows <code>{escape(data.fingerprint)}</code>; {report.resamples} resamples of '
        f"blocks, seed {report.seed}, {100 * report.level:g} % intervals.</p>",
    ]
    if report.in_sample:
        lines.append(
            '<p class="alarm">IN-SAMPLE: a threshold was chosen on these very windows; '
            "the scores are too good.</p>"
        )
    notes = [note for note in report.notes if not note.startswith("IN-SAMPLE")]
    if notes:
        lines.append(f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>')
    return "<header>" + "".join(lines) + "</header>"


def criteria(report: Report) -> str:
    """Writes the criteria, the model beside chance."""
    verdict = {
        True: '<span class="met">met</span>',
        False: '<span class="failed">missed</span>',
        None: "no such output",
    }
    rows = [
        [
            escape(c.name),
            f"<code>{escape(c.metric)}</code>",
            f"{escape(c.operator)} {c.bound:g}",
            number(c.value),
            number(c.null) + (" (passes too)" if c.null_passes else ""),
            verdict[c.passed],
        ]
        for c in report.criteria
    ]
    return table(["criterion", "metric", "wanted", "model", "chance", "result"], rows)


def metrics(report: Report) -> str:
    """Writes each metric with its interval, strongest chance level, ceiling and skill."""
    rows = [
        [
            f"<code>{escape(m.name)}</code>",
            number(m.value),
            span(m.interval),
            _strip(m),
            "–"
            if m.strongest_null is None
            else f"{number(m.nulls[m.strongest_null])} ({escape(m.strongest_null)})",
            number(m.ceiling) + ("" if m.ceiling_known else " ?"),
            number(m.skill, 3),
            span(m.skill_interval),
        ]
        for m in report.metrics
    ]
    share = f"{100 * report.level:g} %"
    names = ["metric", "value", share, "chance to ceiling", "strongest chance", "ceiling", "skill", share]
    items = [("pred", "model, interval"), ("chance", "chance levels"), ("truth", "ceiling")]
    words = (
        "Skill is (value − strongest chance) / (ceiling − strongest chance). A ceiling marked ? is not "
        "known: it is what a perfect prediction scores."
    )
    return f'<p class="soft">{words}</p>{legend(items)}' + table(names, rows, classes={3: "strip"})


def nulls(report: Report) -> str:
    """Writes what every chance level scores, and what each does."""
    names = list(report.nulls)
    rows = [
        [
            f"<code>{escape(m.name)}</code>",
            number(m.value, 3),
            *(number(m.nulls[n], 3) if n in m.nulls else "" for n in names),
        ]
        for m in report.metrics
    ]
    meanings = "".join(f"<li><b>{escape(n)}</b>: {escape(words)}</li>" for n, words in report.nulls.items())
    return table(["metric", "model", *(escape(n) for n in names)], rows) + f"<ul>{meanings}</ul>"


def every_metric(report: Report) -> str:
    """Writes each metric with its definition, parts and all counts."""
    return "".join(_metric(m) for m in report.metrics)


def provenance(report: Report) -> str:
    """Writes where the thresholds of spans and bars come from."""
    return _threshold("Spans", report.threshold) + _threshold("Bars", report.bar_threshold)


def _metric(m: MetricReport) -> str:
    parts = "".join(f", {escape(name)} {number(value)}" for name, value in m.parts.items())
    better = "higher is better" if m.higher_is_better else "lower is better"
    counts = ", ".join(f"{escape(name)} {value:g}" for name, value in m.counts.items())
    skill = "" if math.isnan(m.skill) else f"; skill {number(m.skill, 3)} ({span(m.skill_interval)})"
    interval = "no interval" if m.interval is None else _interval_words(m)
    return (
        f'<div class="metric"><h3><code>{escape(m.name)}</code> = {number(m.value)}{parts}</h3>'
        f"<p>{escape(m.definition)}; {better}.</p>"
        f"<p>{interval}{skill}.</p>"
        f'<p class="counts">Counts: {counts}.</p></div>'
    )


def _interval_words(m: MetricReport) -> str:
    i = m.interval
    if i is None:
        return ""
    left = f", undefined in {i.undefined}" if i.undefined else ""
    words = f"{100 * i.level:g} % {i.method} interval {span(i)}"
    return f"{words} over {i.clusters} blocks, {i.resamples} resamples{left}"


def _strip(m: MetricReport) -> str:
    """Chance levels, the value with its interval, and the ceiling on one small scale."""
    chance = [v for v in m.nulls.values() if not math.isnan(v)]
    if math.isnan(m.value):
        return ""
    strongest = [] if m.strongest_null is None else [m.nulls[m.strongest_null]]
    ends = [m.value, m.ceiling, *(strongest if not m.higher_is_better else chance)]
    if m.interval is not None and not math.isnan(m.interval.low):
        ends += [m.interval.low, m.interval.high]
    low, high = min(ends), max(ends)
    if not high > low:
        return ""
    pad = 0.04 * (high - low)
    plot = Plot(
        f"{m.name}: chance, value, ceiling",
        (low - pad, high + pad),
        (0, 1),
        width=160,
        height=20,
        margins=(4, 4, 2, 2),
    )
    plot.line([low, high], [0.5, 0.5], "iso")
    for name, value in m.nulls.items():
        if not math.isnan(value) and low <= value <= high:
            plot.dot(value, 0.5, "chance", radius=3, tip=f"{name}: {number(value)}")
    plot.line([m.ceiling, m.ceiling], [0, 1], "truth", tip=f"ceiling {number(m.ceiling)}")
    if m.interval is not None:
        plot.line([m.interval.low, m.interval.high], [0.5, 0.5], "pred", tip=span(m.interval))
    plot.dot(m.value, 0.5, "pred", radius=4.5, tip=f"{m.name}: {number(m.value)}")
    return plot.svg()


def _threshold(what: str, threshold: Threshold | None) -> str:
    if threshold is None:
        return f"<p>{what}: not said.</p>"
    t = threshold
    decoder = ", ".join(f"{name} {value}" for name, value in t.decoder.model_dump().items())
    return (
        f"<p>{what}: <b>{t.threshold:.6g}</b> (a value equal to it is positive), chosen for "
        f"{escape(t.metric)} ({escape(t.definition)}) on {t.n_windows} windows with {t.n_true} spans, "
        f"where it scores {number(t.value)} with a standard error of {number(t.standard_error, 3)}; "
        f"within one standard error from {number(t.plateau[0])} to {number(t.plateau[1])}. "
        f"Decoder: {escape(decoder)}. <span class='soft'><code>{escape(t.fingerprint)}</code></span></p>"
    )
