"""The best, the median and the worst windows: truth, prediction and probability over the bars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from moola_eval._arguments import IntArray
from moola_eval.bars import bar_counts
from moola_eval.forecast import Forecast
from moola_eval.score import f_beta
from moola_eval.spans import Spans
from moola_eval.svg import Plot, steps
from moola_eval.targets import Targets

VIEW = 400
"""A longer window is shown in part, around its longest true (without one: predicted) span."""
CHOICE = "by F1 of their bars, equal ones by Brier score; windows without any mark are left out"


class Chosen(NamedTuple):
    """A window to be shown."""

    rank: str
    window: int
    f1: float


def chosen_windows(targets: Targets, forecast: Forecast, *, each: int = 3) -> list[Chosen]:
    """Picks the best, the median and the worst windows, none twice.

    Args:
        targets: The truth.
        forecast: Predictions; without probabilities the Brier score is that of the decided bars.
        each: How many of each kind at most.

    Returns:
        The windows, best first; fewer where there are fewer.
    """
    f1 = f_beta(*bar_counts(targets.mask, forecast.mask))
    values = forecast.mask if forecast.probability is None else forecast.probability
    error = np.mean((values.astype(np.float64) - targets.mask) ** 2, axis=1)
    order = np.lexsort([error, -f1])[: int(np.count_nonzero(~np.isnan(f1)))]
    middle = order[each : len(order) - each]
    begin = max(0, (len(middle) - each) // 2)
    parts: list[tuple[str, IntArray]] = [
        ("best", order[:each]),
        ("median", middle[begin : begin + each]),
        ("worst", order[max(each, len(order) - each) :]),
    ]
    return [Chosen(rank, int(w), float(f1[w])) for rank, windows in parts for w in windows]


def differing_windows(targets: Targets, a: Forecast, b: Forecast, *, each: int = 2) -> list[Chosen]:
    """Picks the windows in which one of two models is ahead the most, by F1 of their bars.

    Args:
        targets: The truth.
        a: Predictions of one model.
        b: Of the other.
        each: How many of each kind at most; a window where both are alike is none.

    Returns:
        Those where the first is ahead ("a"), then the others ("b"); `f1` is the difference a - b. A window
        without any bar to find is judged right (1) where nothing is marked, else wrong (0).
    """
    f1 = []
    for forecast in (a, b):
        value = f_beta(*bar_counts(targets.mask, forecast.mask))
        f1.append(np.where(np.isnan(value), 1.0, value))
    gain = f1[0] - f1[1]
    order = np.argsort(-gain, kind="stable")
    ahead = [Chosen("a", int(w), float(gain[w])) for w in order[:each] if gain[w] > 0]
    behind = [Chosen("b", int(w), float(gain[w])) for w in order[::-1][:each] if gain[w] < 0]
    return ahead + behind


def window_timeline(targets: Targets, forecast: Forecast, *, window: int, threshold: float | None) -> str:
    """Draws one window: true spans above predicted ones above the probability of each bar, if any."""
    first, last = view(targets.spans, forecast.spans, window=window)
    plot = Plot(
        f"Window {window}: truth, prediction and probability",
        (first - 0.5, last + 0.5),
        (0, 1.5),
        width=330,
        height=150,
        margins=(34, 6, 4, 34),
    )
    for spans, css in ((targets.spans, "truth"), (forecast.spans, "pred")):
        for start, end, tip in seen_spans(spans, window, first, last):
            low = 1.3 if css == "truth" else 1.1
            plot.box(start - 0.5, end + 0.5, low, low + 0.16, css, tip=f"{css} {tip}")
            if css == "truth":
                plot.box(start - 0.5, end + 0.5, 0, 1, "shade")
    plot.axes(
        x_ticks=steps(first, last, about=7), y_ticks=[0, 0.5, 1], x_label="bar of the window", y_label=""
    )
    plot.label(28, plot.up(1.38) + 4, "true", anchor="end")
    plot.label(28, plot.up(1.18) + 4, "pred", anchor="end")
    if threshold is not None and 0 <= threshold <= 1:
        plot.line([first - 0.5, last + 0.5], [threshold] * 2, "cut", tip=f"threshold {threshold:g}")
    if forecast.probability is not None:
        plot.line(np.arange(first, last + 1), forecast.probability[window, first : last + 1], "prob")
    return plot.svg()


def seen_spans(spans: Spans, window: int, first: int, last: int) -> list[tuple[int, int, str]]:
    """Start and end of a window's spans, cut to the bars first..last, and both uncut in words."""
    rows = np.flatnonzero((spans.sequence == window) & (spans.end >= first) & (spans.start <= last))
    return [
        (
            max(first, int(spans.start[i])),
            min(last, int(spans.end[i])),
            f"{spans.start[i]}..{spans.end[i]}",
        )
        for i in rows
    ]


def view(true: Spans, pred: Spans, *, window: int) -> tuple[int, int]:
    """First and last bar of a window to be shown: all of it, or `VIEW` bars around its longest span."""
    bars = int(true.lengths[window])
    if bars <= VIEW:
        return 0, bars - 1
    centre = bars // 2
    for spans in (pred, true):  # the truth decides where there is one
        rows = np.flatnonzero(spans.sequence == window)
        if len(rows):
            longest = rows[np.argmax(spans.size[rows])]
            centre = int(spans.start[longest] + spans.end[longest]) // 2
    first = min(max(0, centre - VIEW // 2), bars - VIEW)
    return first, first + VIEW - 1
