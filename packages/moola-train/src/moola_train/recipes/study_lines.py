"""The picture of a study whose variants differ in a number: lines over it, a panel a condition and metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from moola_train.recipes.study import Study
from moola_train.recipes.study_verdict import Mean, Trials, mean_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#8a94a0", "#b4552d", "#4a7c59", "#3b6ea5", "#7b5ea7", "#2b2b2b")


def lines(study: Study, trials: Trials, *, over: str, quick: bool) -> Figure:
    """Draws means over seeds with their intervals.

    Args:
        study: The study; its metrics are the rows, its crossings the columns.
        trials: What is known.
        over: A number of a variant's source.
        quick: Said in the title.

    Raises:
        ModuleNotFoundError: Without matplotlib, which comes with the extra "studies".
        ValueError: A variant's source has no such number.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator, PercentFormatter

    columns = [other.name for other in study.cross] or [""]
    figure = Figure(figsize=(3.2 * len(columns) + 1, 2.7 * len(study.picture) + 0.6), layout="constrained")
    axes = figure.subplots(len(study.picture), len(columns), sharex=True, sharey="row", squeeze=False)
    known = points(study, trials, over=over)
    numbers = sorted({number for line in known.values() for number in line})
    names = list(dict.fromkeys(name for _, _, name in known))
    for row, metric in enumerate(study.picture):
        for column, title in enumerate(columns):
            panel = axes[row][column]
            for name, colour in zip(names, COLOURS, strict=False):
                line = known.get((metric, title, name), {})
                at = sorted(line)
                low, high = ([getattr(line[n], side) for n in at] for side in ("low", "high"))
                panel.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
                panel.plot(at, [line[n].value for n in at], "o-", color=colour, markersize=3.5, label=name)
            if metric.startswith("share/"):
                panel.axhline(1, color="#1f2933", linewidth=0.8, linestyle="--")
            if column == 0:
                panel.set_ylabel(_words(metric), fontsize=8)
                if metric.startswith("share/"):
                    panel.yaxis.set_major_formatter(PercentFormatter(1))
            if row == 0:
                panel.set_title(title.removeprefix("· "), fontsize=9)
            panel.set_xscale("log")
            panel.set_xticks(numbers, [f"{number:g}" for number in numbers])
            panel.xaxis.set_minor_locator(NullLocator())
            panel.grid(color="#d9dee3", linewidth=0.6)
            panel.tick_params(labelsize=8)
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
    axes[-1][0].set_xlabel(over, fontsize=8)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    figure.suptitle(study.title + (" (quick look)" if quick else ""), fontsize=11)
    return figure


def _words(metric: str) -> str:
    prefix, _, name = metric.partition("/")
    return f"{name.replace('_f1', ' F1')}, share of the ceiling" if prefix == "share" else metric


def points(study: Study, trials: Trials, *, over: str) -> dict[tuple[str, str, str], dict[float, Mean]]:
    """Gives the means by metric, crossing and line, then by the number that the line runs over."""
    found: dict[tuple[str, str, str], dict[float, Mean]] = {}
    sources = {name: job["source"] for name, _, job in study.jobs(quick=False)}
    for variant in study.variants():
        crossing = next((c.name for c in study.cross if c.name and variant.name.endswith(" " + c.name)), "")
        line, comma, _ = variant.name.removesuffix(crossing).partition(",")
        source = sources[variant.name]
        number = source.get(over) if isinstance(source, dict) else None
        if not comma or isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(
                f"line_over: want variants named 'LINE, …' with a number {over!r}, got {variant.name!r}"
            )
        for metric in study.picture:
            by_seed = trials.get(variant.name, {})
            mean = mean_of([numbers.get(metric, math.nan) for numbers in by_seed.values()])
            if math.isfinite(mean.value):
                found.setdefault((metric, crossing, line), {})[float(number)] = mean
    return found
