"""Which other runs were scored on a run's test windows, and what luck alone makes of the best of so many."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

from moola_eval.schema import MetricReport, Report
from moola_eval.section import Cell, Grid, Section, Words
from moola_eval.trials import deflated, expected_maximum
from moola_train.recipes.finished_run import REPORT, read_report
from moola_train.recipes.run_source import CONFIG

METRIC = "span_f1"
SHOWN = 30
"""Runs in the table, the best first."""


class KnownRun(NamedTuple):
    """A run beside others."""

    name: str
    configuration: str
    """Hash of its resolved settings; runs with the same one count once."""
    report: Report

    @property
    def score(self) -> MetricReport:
        """Its span F1."""
        return self.report.metric(METRIC)


class KnownRuns(NamedTuple):
    """The runs of a folder."""

    runs: tuple[KnownRun, ...]
    unreadable: int
    """Folders with a report that is damaged, or without its configuration."""


def known_runs(folder: Path) -> KnownRuns:
    """Reads the reports of all runs that lie in a folder, by name."""
    found, unreadable = [], 0
    for place in sorted(path for path in folder.iterdir() if (path / REPORT).is_file()):
        try:
            report = read_report(place / REPORT)
            report.metric(METRIC)
            configuration = hashlib.sha256((place / CONFIG).read_bytes()).hexdigest()[:12]
        except (ValueError, KeyError, OSError):  # another tool's file, or one being written
            unreadable += 1
            continue
        found.append(KnownRun(place.name, configuration, report))
    return KnownRuns(tuple(found), unreadable)


def trials_section(known: KnownRuns, report: Report, *, name: str) -> Section:
    """Counts the configurations that were scored on a report's windows, itself included.

    Args:
        known: The runs beside it.
        report: The run's.
        name: Its own.
    """
    others = [
        one
        for one in known.runs
        if one.report.data.fingerprint == report.data.fingerprint and one.name != name
    ]
    own = report.metric(METRIC)
    rows = [(name, "this run", own), *((one.name, one.configuration, one.score) for one in others)]
    rows.sort(key=lambda row: -math.inf if math.isnan(row[2].value) else row[2].value, reverse=True)
    count = len({one.configuration for one in others}) + 1
    parts: list[Words | Grid] = [Words(text=_told(count, own))]
    if known.unreadable:
        parts.append(Words(text=f"{known.unreadable} folders beside it could not be read.", tone="soft"))
    if others:
        parts.append(
            Grid(
                head=("run", "settings", "span F1", f"{100 * report.level:g} %", "strongest chance", "skill"),
                rows=tuple(_row(*row, own=row[0] == name) for row in rows[:SHOWN]),
            )
        )
        if len(rows) > SHOWN:
            parts.append(Words(text=f"{len(rows) - SHOWN} more runs scored lower.", tone="soft"))
    return Section(name="Trials on these test windows", parts=tuple(parts))


def standard_error(metric: MetricReport) -> float:
    """Of a metric, from the width of its interval; NaN without one."""
    if metric.interval is None:
        return math.nan
    i = metric.interval
    return (i.high - i.low) / (2 * NormalDist().inv_cdf((1 + i.level) / 2))


def luck_of(trials: int, error: float) -> str:
    """What the best of as many equally good trials gains by luck, in words."""
    gain = error * expected_maximum(trials)
    return (
        f"By luck alone the best of {trials} equally good ones would stand {gain:.3f} above their common "
        "score (standard error from the interval's width, trials taken as independent; alike ones gain less)"
    )


def _told(count: int, own: MetricReport) -> str:
    begin = (
        f"{count} configuration{'s' if count > 1 else ''} (every seed is one), this run's among them, "
        f"{'are' if count > 1 else 'is'} known to have been scored on these test windows: runs in the folder "
        "around this one as the page was made. Deleted runs and the jobs of sweeps are not counted."
    )
    error = standard_error(own)
    if count == 1 or math.isnan(error) or math.isnan(own.value):
        return begin
    left = deflated(own.value, standard_error=error, trials=count)
    return f"{begin} {luck_of(count, error)}. If this run was chosen as the best, {left:.3f} remains."


def _row(name: str, configuration: str, metric: MetricReport, *, own: bool) -> tuple[str | Cell, ...]:
    chance = math.nan if metric.strongest_null is None else metric.nulls[metric.strongest_null]
    i = metric.interval
    return (
        Cell(text=name, tone="met") if own else name,
        configuration,
        number(metric.value),
        "–" if i is None else f"{number(i.low)} to {number(i.high)}",
        number(chance),
        number(metric.skill),
    )


def number(value: float) -> str:
    """Three decimals; undefined is a word."""
    return "undefined" if math.isnan(value) else f"{value:.3f}"
