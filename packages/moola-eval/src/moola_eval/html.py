"""A report as one HTML file: inline SVG, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from moola_eval.bars import bar_f1
from moola_eval.bootstrap import numbered
from moola_eval.candles import Candles, candle_window
from moola_eval.charts import (
    anatomy_bars,
    border_histogram,
    f1_by_threshold,
    iou_histogram,
    precision_recall,
    reliability_diagram,
    sweep,
)
from moola_eval.decoding import PLAIN
from moola_eval.detection import span_f1
from moola_eval.fingerprint import fingerprint
from moola_eval.forecast import Forecast
from moola_eval.html_page import figure, framed, section_body
from moola_eval.html_tables import criteria, every_metric, head, metrics, nulls, provenance
from moola_eval.matching import Overlap, match
from moola_eval.report_file import write_text
from moola_eval.schema import EvalInput, Report
from moola_eval.section import Section
from moola_eval.svg import legend
from moola_eval.targets import Targets
from moola_eval.timeline import CHOICE, chosen_windows, view, window_timeline

COLOURS = [("truth", "true spans"), ("pred", "predicted spans"), ("prob", "probability")]
SPANS = legend(COLOURS)
CANDLES = legend([*COLOURS, ("up", "bar closes at or above its open"), ("down", "below")])


def report_html(
    report: Report,
    data: EvalInput | None = None,
    *,
    title: str = "Evaluation",
    lead: Sequence[str] = (),
    sections: Sequence[Section] = (),
    candles: Candles | None = None,
) -> str:
    """Writes a report as a self-contained page.

    It follows the reader's preference for light or dark, prints on white, and escapes every word that comes
    from outside. Without the data there are all numbers but no plots of windows and curves.

    Args:
        report: What `evaluate` returned.
        data: The predictions and truth it was computed from.
        title: Heading of the page.
        lead: Sentences below it, such as who labelled.
        sections: What others have to say, between the chance levels and the metrics in full.
        candles: Prices of the windows; spans are drawn on them then.

    Returns:
        The HTML document.

    Raises:
        ValueError: The data or the prices are not those of the report.
    """
    if data is not None:
        found = fingerprint(data.truth)
        if found != report.data.fingerprint:
            raise ValueError(f"data: want the windows {report.data.fingerprint}, got {found}")
        if len(data.prediction.spans.window) != report.data.n_pred:
            raise ValueError(
                f"data: want {report.data.n_pred} predicted spans, got {len(data.prediction.spans.window)}"
            )
    if candles is not None and data is None:
        raise ValueError("candles: want the data beside the prices of their windows, got none")
    if candles is not None and candles.prices.shape[:2] != (report.data.n_windows, report.data.length):
        raise ValueError(
            f"candles: want prices of {report.data.n_windows} windows of {report.data.length} bars, got "
            f"shape {candles.prices.shape}"
        )
    anatomy = figure(
        "Anatomy",
        "every true and every predicted span in exactly one class; the rows add up",
        anatomy_bars(report.true_anatomy, report.pred_anatomy),
        css="anatomy",
    )
    return framed(
        title,
        head(report, title=title, lead=lead),
        [
            ("Criteria", criteria(report)),
            ("Metrics", metrics(report)),
            ("What became of the spans", anatomy),
            *(_drawn(report, data, candles) if data is not None else []),
            ("Chance levels", nulls(report)),
            *((section.name, section_body(section)) for section in sections),
            ("Every metric in full", every_metric(report)),
            ("Where thresholds come from", provenance(report)),
        ],
    )


def write_html(
    path: str | Path, report: Report, data: EvalInput | None = None, *, title: str = "Evaluation"
) -> None:
    """Writes `report_html` to a file; the file is there whole or not at all."""
    write_text(path, report_html(report, data, title=title))


def _drawn(report: Report, data: EvalInput, candles: Candles | None) -> list[tuple[str, str]]:
    targets = Targets.of(data.truth)
    forecast = Forecast.of(data.prediction, bar_threshold=report.bar_threshold)
    if not any(metric.name == "bar_brier" for metric in report.metrics):
        # Who left the probabilities unscored has none worth drawing.
        forecast = replace(forecast, probability=None)
    pairs = match(targets.spans, forecast.spans, criterion=Overlap(), labels="ignored")
    figures = [
        *_of_probability(report, data, targets, forecast),
        figure(
            "Intersection over union",
            f"{len(pairs)} pairs that share a bar, one to one; the dashed line is what counts as found",
            iou_histogram(pairs),
        ),
        figure(
            "First bar",
            f"predicted minus true, {len(pairs)} pairs",
            border_histogram(pairs.onset_error, of="onset"),
        ),
        figure(
            "Last bar",
            f"predicted minus true, {len(pairs)} pairs",
            border_histogram(pairs.offset_error, of="offset"),
        ),
    ]
    words = (
        "Bands are spans, the shade repeats the truth, the line is the probability, the dashed line the "
        f"threshold. Chosen {CHOICE}."
    )
    windows = "".join(_windows(report, data, targets, forecast, candles))
    many, colours = ("thirds", SPANS) if candles is None else ("figures", CANDLES)
    return [
        (
            "Best, median and worst windows",
            f'<p class="soft">{words}</p>{colours}<div class="{many}">{windows}</div>',
        ),
        ("Curves", f'<div class="figures">{"".join(figures)}</div>'),
    ]


def _windows(
    report: Report, data: EvalInput, targets: Targets, forecast: Forecast, candles: Candles | None
) -> list[str]:
    threshold = None if report.threshold is None else report.threshold.threshold
    found, p = [], forecast.probability
    for chosen in chosen_windows(targets, forecast, each=3 if candles is None else 2):
        words = f"bar F1 {chosen.f1:.3f}, group {data.truth.group[chosen.window]}"
        if candles is None:
            drawing = window_timeline(targets, forecast, window=chosen.window, threshold=threshold)
        else:
            drawing = candle_window(
                candles,
                {"true": targets.spans, "predicted": forecast.spans},
                window=chosen.window,
                view=view(targets.spans, forecast.spans, window=chosen.window),
                probability=None if p is None else {"probability": p[chosen.window]},
                threshold=threshold,
            )
            words = "; ".join([words, *candles.words[chosen.window : chosen.window + 1]])
        found.append(figure(f"{chosen.rank}, window {chosen.window}", words, drawing))
    return found


def _of_probability(report: Report, data: EvalInput, targets: Targets, forecast: Forecast) -> list[str]:
    if forecast.probability is None:
        return []
    threshold = report.threshold
    decoder = PLAIN if threshold is None else threshold.decoder
    levels, spans, bars = sweep(forecast.probability, targets.spans, targets.mask, decoder=decoder)
    decided = (
        span_f1(targets.spans, forecast.spans, criterion=0.5, labels="ignored"),
        bar_f1(targets.mask, forecast.mask),
    )
    index, groups = numbered(data.truth.group, len(data.truth.group))
    how = "thresholds 0, 0.01 … 1" + ("" if decoder == PLAIN else f"; {_words(decoder.model_dump())}")
    return [
        figure("Precision and recall", how, precision_recall(spans, bars, decided=decided)),
        figure(
            "F1 against the threshold",
            "on these windows: to look at, not to choose by; " + how,
            f1_by_threshold(
                levels,
                spans,
                bars,
                chosen=None if threshold is None else threshold.threshold,
                plateau=None if threshold is None else threshold.plateau,
                ceiling=_ceiling(report),
            ),
        ),
        figure(
            "Reliability of the bars' probabilities",
            f"how often bars with a probability came true; {100 * report.level:g} % intervals over blocks",
            reliability_diagram(
                forecast.probability,
                targets.mask,
                index=index,
                groups=groups,
                seed=report.seed,
                resamples=report.resamples,
                level=report.level,
            ),
        ),
    ]


def _words(settings: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value)


def _ceiling(report: Report) -> float | None:
    """Best reachable span F1, where it is known and below that of a perfect prediction."""
    known = [m.ceiling for m in report.metrics if m.name == "span_f1" and m.ceiling_known and m.ceiling < 1]
    return known[0] if known else None
