"""The plots of a report, each one inline SVG that shows counts where it shows shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray
from moola_eval.anatomy import PRED_CLASSES, TRUE_CLASSES
from moola_eval.bars import bar_counts
from moola_eval.bootstrap import draw_weights
from moola_eval.calibration import expected_calibration_error
from moola_eval.decoding import Decoder, decode
from moola_eval.detection import span_f1
from moola_eval.matching import Matches
from moola_eval.score import Score, f_score, ratio
from moola_eval.spans import Spans
from moola_eval.svg import Plot, legend, steps

TENTHS = np.linspace(0, 1, 6)
LEVELS = 101
"""Thresholds 0, 0.01 .. 1 at which curves are drawn."""
FAR = 10
"""Border errors beyond this many bars share the last column."""


def sweep(
    probability: npt.NDArray[np.floating], true: Spans, mask: BoolArray, *, decoder: Decoder
) -> tuple[FloatArray, list[Score], list[Score]]:
    """Scores spans and bars at the thresholds 0, 0.01 .. 1; spans only from the decoder's `low` on.

    Args:
        probability: (n, K) floats in [0, 1].
        true: True spans.
        mask: (n, K) bool, bars inside a true span.
        decoder: How runs become spans.

    Returns:
        Thresholds (c,), the span scores and the bar scores at each.
    """
    low = 0.0 if decoder.low is None else decoder.low
    levels = np.linspace(0.0, 1.0, LEVELS)
    levels = levels[levels >= low]
    spans, bars = [], []
    for level in levels:
        found = decode(probability, threshold=float(level), decoder=decoder)
        spans.append(span_f1(true, found, criterion=0.5, labels="ignored"))
        tp, n_pred, n_true = bar_counts(mask, np.asarray(probability >= probability.dtype.type(level)))
        bars.append(f_score("bar_f1", "F1 of bars, pooled", tp=tp, n_pred=n_pred, n_true=n_true))
    return levels, spans, bars


def precision_recall(spans: list[Score], bars: list[Score], *, decided: tuple[Score, Score]) -> str:
    """Draws precision against recall over all thresholds, with lines of equal F1 and the decision."""
    plot = Plot("Precision against recall, spans and bars, over all thresholds", (0, 1), (0, 1))
    plot.axes(x_ticks=TENTHS, y_ticks=TENTHS, x_label="recall", y_label="precision")
    for f1 in (0.2, 0.4, 0.6, 0.8):
        recall = np.linspace(f1 / (2 - f1), 1, 50)
        plot.line(recall, f1 * recall / (2 * recall - f1), "iso")
        plot.note(1, f1 / (2 - f1), f"F1 {f1:g}", anchor="end", dy=-3)
    for scores, css in ((bars, "prob"), (spans, "pred")):
        plot.line([s["recall"] for s in scores], [s["precision"] for s in scores], css)
    for score, css, what in zip(decided, ("pred", "prob"), ("spans", "bars"), strict=True):
        if not np.isnan(score["precision"] + score["recall"]):
            tip = f"decided {what}: precision {score['precision']:.3f}, recall {score['recall']:.3f}"
            plot.dot(score["recall"], score["precision"], css, radius=5.5, tip=tip)
    return plot.svg() + legend([("pred", "spans, IoU ≥ 0.5"), ("prob", "bars"), ("ring", "the decision")])


def f1_by_threshold(
    levels: FloatArray,
    spans: list[Score],
    bars: list[Score],
    *,
    chosen: float | None,
    plateau: tuple[float, float] | None,
    ceiling: float | None = None,
) -> str:
    """Draws F1 against the threshold, with the chosen one, its plateau, and what spans can reach."""
    plot = Plot("F1 against threshold, spans and bars", (0, 1), (0, 1))
    if plateau is not None:
        low, high = (min(1.0, max(0.0, p)) for p in plateau)
        plot.box(
            low, high, 0, 1, "plateau", tip=f"within one standard error: {plateau[0]:g} to {plateau[1]:g}"
        )
    plot.axes(x_ticks=TENTHS, y_ticks=TENTHS, x_label="threshold", y_label="F1")
    plot.line(levels, [s.value for s in bars], "prob")
    plot.line(levels, [s.value for s in spans], "pred")
    if chosen is not None and 0 <= chosen <= 1:
        plot.line([chosen, chosen], [0, 1], "cut", tip=f"chosen threshold {chosen:g}")
        side = "end" if chosen > 0.7 else "start"
        plot.note(chosen, 1, f"chosen {chosen:.3g}", anchor=side, dx=-5 if side == "end" else 5, dy=11)
    if ceiling is not None:
        plot.line([0, 1], [ceiling, ceiling], "truth", tip=f"ceiling of spans {ceiling:g}")
        plot.note(0, ceiling, f"ceiling {ceiling:.3g}", dx=4, dy=-4)
    items = [("pred", "spans, IoU ≥ 0.5"), ("prob", "bars")]
    return plot.svg() + legend(items + ([("plateau", "within one standard error")] if plateau else []))


def iou_histogram(pairs: Matches) -> str:
    """Draws the IoU of pairs that share a bar, beside what has no pair."""
    missed, spurious = len(pairs.true) - len(pairs), len(pairs.pred) - len(pairs)
    counts = np.bincount(np.minimum((pairs.iou * 10).astype(int), 9), minlength=10)
    top = max(1, int(counts.max()), missed, spurious)
    plot = Plot("Intersection over union of matched spans", (-0.46, 1), (0, top))
    plot.axes(
        x_ticks=[-0.355, -0.145, *TENTHS],
        x_names=["missed", "spurious", *(f"{v:g}" for v in TENTHS)],
        y_ticks=_counted(top),
        x_label="intersection over union",
        y_label="spans",
    )
    plot.box(-0.43, -0.28, 0, missed, "missed", tip=f"{missed} true spans without a pair")
    plot.box(-0.22, -0.07, 0, spurious, "spurious", tip=f"{spurious} predictions without a pair")
    for i, count in enumerate(counts):
        css = "correct" if i >= 5 else "shifted"
        plot.box(
            i / 10 + 0.006,
            i / 10 + 0.094,
            0,
            count,
            css,
            tip=f"{count} pairs, IoU {i / 10:g}..{(i + 1) / 10:g}",
        )
    plot.line([0.5, 0.5], [0, top], "cut")
    return plot.svg() + legend(
        [
            ("correct", "IoU ≥ 0.5"),
            ("shifted", "shares a bar"),
            ("missed", "missed"),
            ("spurious", "spurious"),
        ]
    )


def border_histogram(error: IntArray, *, of: str) -> str:
    """Draws signed border errors of matched pairs in bars; what lies beyond ±10 shares the last column."""
    low, high = -FAR - 1, FAR + 1
    counts = np.bincount(np.clip(error, low, high) - low, minlength=high - low + 1)
    top = max(1, int(counts.max()))
    plot = Plot(f"Signed {of} errors of matched spans", (low - 0.7, high + 0.7), (0, top), height=220)
    ticks = [low, -5, 0, 5, high]
    names = [f"≤ {low}", *(f"{t:+d}" if t else "0" for t in ticks[1:-1]), f"≥ +{high}"]
    plot.axes(
        x_ticks=ticks,
        x_names=names,
        y_ticks=_counted(top),
        x_label=f"{of} error in bars; + is late",
        y_label="pairs",
    )
    for i, count in enumerate(counts):
        at = low + i
        css = "correct" if abs(at) <= 3 else "shifted"
        plot.box(at - 0.42, at + 0.42, 0, count, css, tip=f"{count} pairs, {of} {at:+d}")
    return plot.svg()


def reliability_diagram(
    probability: npt.NDArray[np.floating],
    mask: BoolArray,
    *,
    index: IntArray,
    groups: int,
    seed: int,
    resamples: int,
    level: float,
    bins: int = 10,
) -> str:
    """Draws frequency against probability, with intervals over groups and the number of bars in each bin."""
    table = expected_calibration_error(probability, mask, bins=bins).sums.reshape(-1, 3, bins)
    count, total, came = table.sum(axis=0)
    mean, rate = ratio(total, count), ratio(came, count)
    plot = Plot("Frequency against probability of bars", (0, 1), (-0.2, 1))
    plot.axes(x_ticks=TENTHS, y_ticks=TENTHS, x_label="probability", y_label="frequency")
    plot.line([0, 1], [0, 1], "iso")
    if resamples and groups >= 2:
        by_group = np.zeros((groups, 3 * bins))
        np.add.at(by_group, index, table.reshape(-1, 3 * bins))
        draws = [w @ by_group for w in draw_weights(groups, seed=seed, resamples=resamples)]
        drawn = np.concatenate(draws).reshape(-1, 3, bins)
        rates = ratio(drawn[:, 2], drawn[:, 0])
        for b in np.flatnonzero(count > 0):
            low, high = np.nanquantile(rates[:, b], [(1 - level) / 2, (1 + level) / 2])
            plot.line(
                [mean[b], mean[b]], [low, high], "whisker", tip=f"{100 * level:g} %: {low:.3f} to {high:.3f}"
            )
    plot.line(mean[count > 0], rate[count > 0], "prob")
    for b in np.flatnonzero(count > 0):
        tip = f"{count[b]:.0f} bars: probability {mean[b]:.3f}, frequency {rate[b]:.3f}"
        plot.dot(mean[b], rate[b], "prob", tip=tip)
        share = 0.16 * np.log1p(count[b]) / np.log1p(count.max())
        plot.box(
            b / bins + 0.006, (b + 1) / bins - 0.006, -0.2, -0.2 + share, "quiet", tip=f"{count[b]:.0f} bars"
        )
    return plot.svg() + legend(
        [("prob", "bars, intervals over blocks"), ("quiet", "bars in each tenth (log scale)")]
    )


def anatomy_bars(true: dict[str, int], pred: dict[str, int]) -> str:
    """Draws what became of the true spans and what the predictions were; each row adds up to all of them."""
    rows = [("true", true, TRUE_CLASSES), ("predicted", pred, PRED_CLASSES)]
    most = max(1, *(sum(counts.values()) for _, counts, _ in rows))
    plot = Plot("What became of spans", (0, most), (0, 2), width=980, height=128, margins=(78, 14, 6, 34))
    plot.axes(x_ticks=_counted(most), y_ticks=[], x_label="spans", y_label="")
    for row, (name, counts, classes) in enumerate(rows):
        base, at = 1.1 - row, 0
        plot.label(70, plot.up(base + 0.32), name, anchor="end", css="name")
        for kind in classes:
            n, words = counts[kind], kind.replace("_", " ")
            if n:
                plot.box(at, at + n, base, base + 0.76, kind, tip=f"{n} {name}: {words}")
                if plot.across(n) - plot.across(0) > 24:
                    plot.note(at + n / 2, base + 0.3, str(n), anchor="middle", css="inside")
                at += n
    kinds = dict.fromkeys([*TRUE_CLASSES, *PRED_CLASSES])
    items = [
        (k, f"{k.replace('_', ' ')} {'/'.join(str(c[k]) for c in (true, pred) if k in c)}") for k in kinds
    ]
    return plot.svg() + legend(items)


def _counted(top: int) -> list[float]:
    return [tick for tick in steps(0, top) if tick == int(tick)]
