"""Plots of intervals in rows: what groups of features are worth, and two models metric by metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moola_eval.importance import Importance
from moola_eval.markdown import number, span
from moola_eval.paired import Paired
from moola_eval.svg import Plot, steps

ROW = 34
LONGEST = 96
"""Letters of a row's name; the rest is in the table."""


def importance_chart(found: Importance) -> str:
    """Draws every group's drop with its interval above what chance makes of it."""
    ends = [
        value
        for one in found.groups
        for value in (one.drop, one.interval.low, one.interval.high, *one.null, 0.0)
        if not np.isnan(value)
    ]
    plot = _rows("Drop of span F1 by group of features", ends, len(found.groups), "drop of span F1")
    for row, one in enumerate(found.groups):
        at = len(found.groups) - 1 - row
        _name(plot, at, one.group)
        if not np.isnan(one.null[0] + one.null[1]):
            tip = f"chance: {number(one.null[0], 3)} to {number(one.null[1], 3)}"
            plot.box(one.null[0], one.null[1], at + 0.1, at + 0.4, "quiet-shade", tip=tip)
        tip = f"{one.group}: {number(one.drop, 3)}, {span(one.interval)}"
        plot.line([one.interval.low, one.interval.high], [at + 0.25] * 2, "pred", tip=tip)
        if not np.isnan(one.drop):
            plot.dot(one.drop, at + 0.25, "pred", tip=tip)
    return plot.svg()


def comparison_chart(found: Sequence[Paired], *, names: tuple[str, str]) -> str:
    """Draws every difference in units of its interval's half width; to the right is better for the first.

    Args:
        found: The metrics.
        names: Of the two models.
    """
    shown = [one for one in found if one.comparison.interval.high > one.comparison.interval.low]
    scaled = []
    for one in shown:
        i = one.comparison.interval
        sign = 1.0 if one.higher_is_better else -1.0
        half = (i.high - i.low) / 2
        scaled.append(
            (sign * one.comparison.delta / half, *sorted((sign * i.low / half, sign * i.high / half)))
        )
    ends = [0.0, -1.0, 1.0, *(value for row in scaled for value in row if not np.isnan(value))]
    plot = _rows(
        f"Difference of {names[0]} and {names[1]} by metric",
        ends,
        len(shown),
        f"← {names[1][:30]} better · in half widths of the interval · {names[0][:30]} better →",
    )
    for row, (one, (middle, low, high)) in enumerate(zip(shown, scaled, strict=True)):
        at = len(shown) - 1 - row
        css = {"a": "pred", "b": "one", None: "chance"}[one.better]
        c = one.comparison
        tip = f"{c.metric}: {number(c.a)} and {number(c.b)}; {number(c.delta, 3)} ({span(c.interval)})"
        _name(plot, at, c.metric)
        plot.line([low, high], [at + 0.25] * 2, css, tip=tip)
        if not np.isnan(middle):
            plot.dot(middle, at + 0.25, css, tip=tip)
    return plot.svg()


def _rows(title: str, ends: Sequence[float], rows: int, label: str) -> Plot:
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    pad = 0.05 * (high - low) or 0.01
    plot = Plot(
        title,
        (low - pad, high + pad),
        (0, max(rows, 1)),
        width=980,
        height=ROW * max(rows, 1) + 50,
        margins=(10, 10, 6, 40),
    )
    plot.axes(x_ticks=steps(low, high, about=8), y_ticks=[], x_label=label, y_label="")
    plot.line([0, 0], [0, max(rows, 1)], "cut")
    return plot


def _name(plot: Plot, at: float, words: str) -> None:
    shown = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    plot.label(12, plot.up(at + 0.6), shown, css="name")
