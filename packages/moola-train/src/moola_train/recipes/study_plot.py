"""The picture of a study: every seed as a dot, its mean with an interval, chance and ceiling as marks."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from moola_train.recipes.study import Study
from moola_train.recipes.study_lines import lines
from moola_train.recipes.study_verdict import Trials, mean_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, DOT, CHANCE, BEST = "#1f2933", "#3b6ea5", "#b4552d", "#4a7c59"


def picture(study: Study, trials: Trials, *, quick: bool) -> str:
    """Draws one panel a metric of `study.picture` as SVG; variants from top to bottom.

    Raises:
        ModuleNotFoundError: Without matplotlib, which comes with the extra "studies".
    """
    from matplotlib.figure import Figure

    if study.line_over is not None:
        return svg_of(lines(study, trials, over=study.line_over, quick=quick), salt=study.name)
    metrics = study.picture
    height = 1.2 + 0.3 * len(trials)
    figure = Figure(figsize=(4.2 * len(metrics) + 1.5, height), layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for panel, metric in zip(axes, metrics, strict=True):
        _panel(panel, metric, trials)
        for reference in study.reference:
            if reference.metric == metric:
                panel.axvline(reference.value, color=CHANCE, linewidth=1, linestyle="--")
                panel.annotate(
                    reference.label,
                    (reference.value, 0),
                    xycoords=("data", "axes fraction"),
                    xytext=(2, 3),
                    textcoords="offset points",
                    fontsize=7,
                    color=CHANCE,
                    rotation=90,
                )
    axes[0].set_yticks(range(len(trials)), list(trials))
    axes[0].invert_yaxis()
    figure.suptitle(study.title + (" (quick look)" if quick else ""), fontsize=11)
    return svg_of(figure, salt=study.name)


def svg_of(figure: Figure, *, salt: str) -> str:
    """Writes a figure as SVG. No date and a fixed salt: the same numbers give the same file."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.hashsalt": salt}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _panel(panel: Axes, metric: str, trials: Trials) -> None:
    short = metric.partition("/")[2] or metric
    for row, by_seed in enumerate(trials.values()):
        values = [numbers.get(metric, math.nan) for numbers in by_seed.values()]
        panel.plot(values, [row] * len(values), "o", color=DOT, alpha=0.35, markersize=4, markeredgewidth=0)
        mean = mean_of(values)
        if math.isfinite(mean.low):
            panel.plot([mean.low, mean.high], [row, row], color=INK, linewidth=1.5)
        if math.isfinite(mean.value):
            panel.plot(mean.value, row, "|", color=INK, markersize=10, markeredgewidth=2)
        for prefix, colour in (("null", CHANCE), ("ceiling", BEST)):
            level = mean_of([numbers.get(f"{prefix}/{short}", math.nan) for numbers in by_seed.values()])
            known = math.isfinite(level.value) and not (prefix == "ceiling" and level.value == 1)
            if metric.startswith("test/") and known:  # a ceiling of 1 is only that of a perfect answer
                panel.plot(level.value, row, "|", color=colour, markersize=14, markeredgewidth=2)
    panel.set_xlabel(metric)
    panel.grid(axis="x", color="#d9dee3", linewidth=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)
