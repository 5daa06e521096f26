"""Many runs as one page: the table of a sweep, or the reports of the runs in a folder."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from moola_eval.html_page import page_html
from moola_eval.section import Drawing, Grid, Listing, Section, Words
from moola_eval.svg import Plot, steps
from moola_train.recipes.differing_settings import differing
from moola_train.recipes.trial_ledger import KnownRuns, luck_of, number

TABLE, PAGE = "table.csv", "table.html"
SEED = "seed"
NUMBERS = {
    "span_f1": "span F1",
    "span_f1/low": "low",
    "span_f1/high": "high",
    "span_f1/null": "chance",
    "span_f1/skill": "skill",
    "bar_f1": "bar F1",
    "bar_f1/null": "chance",
    "bar_f1/skill": "skill",
    "best_epoch": "best epoch",
    "threshold": "threshold",
}
"""Columns of the page; all others are in the CSV."""
ROWS, DRAWN, LETTERS, LABELS = 400, 60, 80, 12
"""Jobs listed, variants drawn, letters of a cell, labels shown: what keeps the page small."""


class SweepTable(NamedTuple):
    """Jobs and what tells them apart."""

    labels: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    """By column, as text; an undefined number is ""."""


def read_table(text: str, *, name: str = TABLE) -> SweepTable:
    """Reads the table that `moola sweep` writes.

    Raises:
        ValueError: It is none.
    """
    lines = list(csv.reader(io.StringIO(text)))
    head = lines[0] if lines else []
    if "status" not in head or "error" not in head:
        raise ValueError(f"{name}: want a sweep's table with the columns status and error, got {head[:8]}")
    for row, line in enumerate(lines[1:]):
        if len(line) != len(head):
            raise ValueError(f"{name}: want {len(head)} cells, got {len(line)} in row {row}")
    rows = tuple(dict(zip(head, line, strict=True)) for line in lines[1:])
    return SweepTable(tuple(head[: head.index("status")]), rows)


def table_of_runs(known: KnownRuns, folder: Path) -> SweepTable:
    """Makes the table of the finished runs in a folder: labels are their names and where settings differ."""
    settings = [json.loads((folder / run.name / "config.json").read_bytes()) for run in known.runs]
    apart = differing(settings) if settings else {}
    rows = []
    for i, run in enumerate(known.runs):
        row = {"run": run.name, **{name: _text(values[i]) for name, values in apart.items()}}
        row |= {"status": "done", "error": "", "test windows": run.report.data.fingerprint}
        for metric in run.report.metrics:
            row[metric.name] = _value(metric.value)
            if metric.interval is not None:
                row[f"{metric.name}/low"] = _value(metric.interval.low)
                row[f"{metric.name}/high"] = _value(metric.interval.high)
            if metric.strongest_null is not None:
                row[f"{metric.name}/null"] = _value(metric.nulls[metric.strongest_null])
                row[f"{metric.name}/skill"] = _value(metric.skill)
        rows.append(row)
    return SweepTable(("run", *apart), tuple(rows))


def sweep_page(table: SweepTable, *, title: str) -> str:
    """Writes the page, below 2 MB however many jobs there are."""
    done = [row for row in table.rows if row["status"] == "done"]
    failed = [row for row in table.rows if row["status"] != "done"]
    variants = _variants(table, done)
    lead = [
        f"{len(table.rows)} jobs, {len(failed)} failed; {len(variants)} variants. All are scored on the test "
        "part: who picks the best by these numbers has chosen on the test part."
    ]
    sections = [_drawn(variants), _by_variant(table, variants), _luck(done), _every(table, done)]
    if failed:
        sections.append(_failed(table, failed))
    return page_html(sections, title=title, lead=lead)


class _Variant(NamedTuple):
    words: str
    labels: tuple[str, ...]
    rows: list[dict[str, str]]

    def values(self, name: str) -> list[float]:
        found = [_number(row.get(name, "")) for row in self.rows]
        return [value for value in found if not math.isnan(value)]


def _variants(table: SweepTable, rows: Sequence[dict[str, str]]) -> list[_Variant]:
    names = [name for name in table.labels if name != SEED]
    by_labels: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        by_labels.setdefault(tuple(row[name] for name in names), []).append(row)
    return [
        _Variant(
            ", ".join(f"{name} {value}" for name, value in zip(names, labels, strict=True)) or "as given",
            labels,
            found,
        )
        for labels, found in by_labels.items()
    ]


def _drawn(variants: Sequence[_Variant]) -> Section:
    shown = [v for v in variants if v.values("span_f1")][:DRAWN]
    if not shown:
        return Section(name="Span F1", parts=(Words(text="No job has a span F1."),))
    columns = ("span_f1", "span_f1/low", "span_f1/high", "span_f1/null")
    ends = [0.0, *(value for v in shown for name in columns for value in v.values(name))]
    low, high = min(ends), max(ends) or 1.0
    plot = Plot(
        "Span F1 by variant",
        (low, high + 0.02 * (high - low)),
        (0, len(shown)),
        width=980,
        height=40 * len(shown) + 50,
        margins=(10, 10, 6, 40),
    )
    plot.axes(x_ticks=steps(low, high, about=8), y_ticks=[], x_label="span F1 on the test part", y_label="")
    for place, variant in enumerate(shown):
        at = len(shown) - 1 - place
        plot.label(12, plot.up(at + 0.68), _cut(variant.words, 110), css="name")
        for i, row in enumerate(variant.rows):
            y = at + 0.1 + 0.4 * (i + 0.5) / len(variant.rows)
            value, bottom, top, chance = (_number(row.get(name, "")) for name in columns)
            seed = f", seed {row[SEED]}" if SEED in row else ""
            if not math.isnan(bottom + top):
                plot.line([bottom, top], [y, y], "pred", tip=f"{number(bottom)} to {number(top)}{seed}")
            if not math.isnan(chance):
                plot.dot(chance, y, "chance", radius=2.5, tip=f"chance {number(chance)}{seed}")
            if not math.isnan(value):
                plot.dot(value, y, "pred", radius=3, tip=f"{number(value)}{seed}")
    left = len(variants) - len(shown)
    words = "a dot a job with its interval over blocks, grey the strongest chance level" + (
        f"; {left} more variants are in the tables" if left else ""
    )
    legend = (("pred", "model, interval"), ("chance", "strongest chance"))
    return Section(
        name="Span F1",
        parts=(Drawing(name="Span F1 by variant", words=words, svg=plot.svg(), legend=legend, wide=True),),
    )


def _by_variant(table: SweepTable, variants: Sequence[_Variant]) -> Section:
    names = [name for name in table.labels if name != SEED]
    shown = [
        name
        for name in ("span_f1", "span_f1/null", "span_f1/skill", "bar_f1")
        if any(v.values(name) for v in variants)
    ]
    rows = [
        (
            *(_cut(value) for value in v.labels[:LABELS]),
            str(len(v.rows)),
            *(_spread(v.values(name)) for name in shown),
        )
        for v in variants[:ROWS]
    ]
    titles = {"span_f1/null": "strongest chance", "span_f1/skill": "skill"}
    head = (*names[:LABELS], "jobs", *(titles.get(name, NUMBERS[name]) for name in shown))
    return Section(
        name="By variant",
        parts=(
            Words(text="Mean over the jobs of a variant ± their standard deviation.", tone="soft"),
            Grid(head=head, rows=tuple(rows)),
            *_left_out(len(variants)),
        ),
    )


def _luck(rows: Sequence[dict[str, str]]) -> Section:
    """What the best of so many owes to luck, if all were scored on the same windows."""
    name = "How much of the best is luck"
    apart = ("test windows", "test_begin", "test_end", "test_windows")
    if any(len({row.get(column, "") for row in rows}) > 1 for column in apart):
        words = "The jobs were scored on different test windows; no best of them is asked for."
        return Section(name=name, parts=(Words(text=words),))
    scored = [row for row in rows if not math.isnan(_number(row.get("span_f1", "")))]
    if len(scored) < 2:
        return Section(name=name, parts=(Words(text="There are fewer than two scores."),))
    best = max(scored, key=lambda row: _number(row["span_f1"]))
    width = _number(best.get("span_f1/high", "")) - _number(best.get("span_f1/low", ""))
    begin = f"The best of {len(scored)} jobs on the same test windows has {number(_number(best['span_f1']))}."
    if math.isnan(width):
        return Section(name=name, parts=(Words(text=f"{begin} It has no interval to judge luck by."),))
    error = width / (2 * statistics.NormalDist().inv_cdf(0.975))
    return Section(name=name, parts=(Words(text=f"{begin} {luck_of(len(scored), error)}."),))


def _every(table: SweepTable, rows: Sequence[dict[str, str]]) -> Section:
    shown = {name: title for name, title in NUMBERS.items() if any(row.get(name) for row in rows)}
    body = [
        (
            *(_cut(row[name]) for name in table.labels[:LABELS]),
            *(_short(row.get(name, "")) for name in shown),
        )
        for row in rows[:ROWS]
    ]
    grid = Grid(head=(*table.labels[:LABELS], *shown.values()), rows=tuple(body))
    return Section(name="Every job", parts=(grid, *_left_out(len(rows))))


def _failed(table: SweepTable, rows: Sequence[dict[str, str]]) -> Section:
    items = [
        _cut(", ".join(f"{name} {row[name]}" for name in table.labels), 300) + f": {_cut(row['error'], 300)}"
        for row in rows[:ROWS]
    ]
    head = Words(text=f"{len(rows)} of {len(table.rows)} jobs failed.", tone="failed")
    return Section(name="Failed", parts=(head, Listing(items=tuple(items))))


def _left_out(count: int) -> list[Words]:
    return [Words(text=f"{count - ROWS:,} more are in {TABLE}.", tone="soft")] if count > ROWS else []


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "undefined"
    mean = number(statistics.fmean(values))
    return mean if len(values) < 2 else f"{mean} ± {number(statistics.stdev(values))}"


def _number(text: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _short(text: str) -> str:
    value = _number(text)
    if math.isnan(value):
        return _cut(text) or "undefined"
    return text if text.lstrip("-").isdigit() else number(value)


def _value(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cut(text: str, letters: int = LETTERS) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
