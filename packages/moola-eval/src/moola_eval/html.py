"""A report as one HTML file: inline SVG, no script, nothing loaded from anywhere."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

from moola_eval._stylesheet import STYLESHEET
from moola_eval.bars import bar_f1
from moola_eval.bootstrap import numbered
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
from moola_eval.html_tables import criteria, every_metric, head, metrics, nulls, provenance
from moola_eval.matching import Overlap, match
from moola_eval.report_file import write_text
from moola_eval.schema import EvalInput, Report
from moola_eval.targets import Targets
from moola_eval.timeline import CHOICE, chosen_windows, window_timeline


def report_html(report: Report, data: EvalInput | None = None, *, title: str = "Evaluation") -> str:
    """Writes a report as a self-contained page.

    It follows the reader's preference for light or dark, prints on white, and escapes every word that comes
    from outside. Without the data there are all numbers but no plots of windows and curves.

    Args:
        report: What `evaluate` returned.
        data: The predictions and truth it was computed from.
        title: Heading of the page.

    Returns:
        The HTML document.

    Raises:
        ValueError: The data are not those of the report.
    """
    if data is not None:
        found = fingerprint(data.truth)
        if found != report.data.fingerprint:
            raise ValueError(f"data: want the windows {report.data.fingerprint}, got {found}")
        if len(data.prediction.spans.window) != report.data.n_pred:
            raise ValueError(
                f"data: want {report.data.n_pred} predicted spans, got {len(data.prediction.spans.window)}"
            )
    sections = [
        head(report, title=title),
        _section("Criteria", criteria(report)),
        _section("Metrics", metrics(report)),
        _section(
            "What became of the spans",
            _figure(
                "Anatomy",
                "every true and every predicted span in exactly one class; the rows add up",
                anatomy_bars(report.true_anatomy, report.pred_anatomy),
                css="anatomy",
            ),
        ),
        *(_drawn(report, data) if data is not None else []),
        _section("Chance levels", nulls(report)),
        _section("Every metric in full", every_metric(report)),
        _section("Where thresholds come from", provenance(report)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLESHEET}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def write_html(
    path: str | Path, report: Report, data: EvalInput | None = None, *, title: str = "Evaluation"
) -> None:
    """Writes `report_html` to a file; the file is there whole or not at all."""
    write_text(path, report_html(report, data, title=title))


def _drawn(report: Report, data: EvalInput) -> list[str]:
    targets = Targets.of(data.truth)
    forecast = Forecast.of(data.prediction, bar_threshold=report.bar_threshold)
    if not any(metric.name == "bar_brier" for metric in report.metrics):
        # Who left the probabilities unscored has none worth drawing.
        forecast = replace(forecast, probability=None)
    pairs = match(targets.spans, forecast.spans, criterion=Overlap(), labels="ignored")
    figures = [
        *_of_probability(report, data, targets, forecast),
        _figure(
            "Intersection over union",
            f"{len(pairs)} pairs that share a bar, one to one; the dashed line is what counts as found",
            iou_histogram(pairs),
        ),
        _figure(
            "First bar",
            f"predicted minus true, {len(pairs)} pairs",
            border_histogram(pairs.onset_error, of="onset"),
        ),
        _figure(
            "Last bar",
            f"predicted minus true, {len(pairs)} pairs",
            border_histogram(pairs.offset_error, of="offset"),
        ),
    ]
    legend = (
        '<p class="soft">Bands are spans, the shade repeats the truth, the line is the probability, the '
        "dashed line the threshold."
    )
    windows = "".join(_windows(report, data, targets, forecast))
    return [
        _section(
            "Best, median and worst windows",
            f'{legend} Chosen {CHOICE}.</p><div class="thirds">{windows}</div>',
        ),
        _section("Curves", f'<div class="figures">{"".join(figures)}</div>'),
    ]


def _windows(report: Report, data: EvalInput, targets: Targets, forecast: Forecast) -> list[str]:
    threshold = None if report.threshold is None else report.threshold.threshold
    return [
        _figure(
            f"{chosen.rank}, window {chosen.window}",
            f"bar F1 {chosen.f1:.3f}, group {data.truth.group[chosen.window]}",
            window_timeline(targets, forecast, window=chosen.window, threshold=threshold),
        )
        for chosen in chosen_windows(targets, forecast)
    ]


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
        _figure("Precision and recall", how, precision_recall(spans, bars, decided=decided)),
        _figure(
            "F1 against the threshold",
            "on these windows: to look at, not to choose by; " + how,
            f1_by_threshold(
                levels,
                spans,
                bars,
                chosen=None if threshold is None else threshold.threshold,
                plateau=None if threshold is None else threshold.plateau,
            ),
        ),
        _figure(
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


def _section(name: str, body: str) -> str:
    return f"<section><h2>{escape(name)}</h2>{body}</section>"


def _figure(name: str, words: str, drawing: str, *, css: str = "") -> str:
    place = f' class="{css}"' if css else ""
    return f"<figure{place}><figcaption><b>{escape(name)}</b>: {escape(words)}</figcaption>{drawing}</figure>"


def _words(settings: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value)
