"""The metrics of a report, computed alike for the model and for every chance level."""

from __future__ import annotations

from collections.abc import Sequence

from moola_eval.average_precision import average_precision
from moola_eval.bars import bar_f1
from moola_eval.calibration import brier, expected_calibration_error
from moola_eval.countdown import countdown_error
from moola_eval.detection import span_f1
from moola_eval.forecast import Forecast
from moola_eval.hits import boundary_error, hit_at
from moola_eval.joint import joint_success
from moola_eval.matching import Overlap, match
from moola_eval.origin import origin_scores
from moola_eval.pattern_type import type_accuracy, type_macro_f1
from moola_eval.pointers import pointer_error, pointer_hit
from moola_eval.ranking import bar_auroc, bar_average_precision
from moola_eval.registry import ReportMetric
from moola_eval.score import Metric, Score
from moola_eval.separation import separation
from moola_eval.targets import Targets

UNSKILLED = frozenset({"bar_ece", "origin_ece", "onset_mae", "offset_mae"})
"""Metrics without skill: a constant has perfect calibration, and borders are judged of matched spans only."""


def headline_scores(
    forecast: Forecast, targets: Targets, more: Sequence[ReportMetric] = ()
) -> dict[str, Metric]:
    """Computes every metric for which the forecast has the outputs, by name, and those asked for beside.

    Raises:
        ValueError: One asked for bears the name of another.
    """
    scores: list[Metric] = [
        *_spans_and_bars(forecast, targets),
        *_pointed(forecast, targets),
        *origin_scores(
            targets,
            probability=forecast.probability,
            pointers=forecast.pointers,
            countdown=forecast.countdown,
            type_probability=forecast.type_probability,
        ),
    ]
    found = {score.name: score for score in scores}
    for score in (metric(forecast, targets) for metric in more):
        if score is None:
            continue
        if score.name in found:
            raise ValueError(f"metrics: want a name that no metric of the report has, got {score.name!r}")
        found[score.name] = score
    return found


def _spans_and_bars(forecast: Forecast, targets: Targets) -> list[Metric]:
    scores: list[Metric] = [
        span_f1(targets.spans, forecast.spans, criterion=0.5, labels="ignored"),
        bar_f1(targets.mask, forecast.mask),
        bar_f1(targets.mask, forecast.mask, average="window", empty="skip"),
    ]
    pairs = match(targets.spans, forecast.spans, criterion=Overlap(), labels="ignored")
    scores += [
        hit_at(pairs, k=3, side="both"),
        boundary_error(pairs, of="onset"),
        boundary_error(pairs, of="offset"),
    ]
    if forecast.spans.score is not None or not len(forecast.spans):
        scores.append(average_precision(targets.spans, forecast.spans, iou=0.5))
    if forecast.probability is not None:
        scores += [
            separation(forecast.probability, targets.mask),
            bar_auroc(forecast.probability, targets.mask),
            bar_average_precision(forecast.probability, targets.mask),
            brier(forecast.probability, targets.mask).named("bar_brier"),
            expected_calibration_error(forecast.probability, targets.mask).named("bar_ece"),
        ]
    return scores


def _pointed(forecast: Forecast, targets: Targets) -> list[Score]:
    scores: list[Score] = []
    pointers, kinds = forecast.pointers, forecast.type_probability
    if pointers is not None:
        place = (targets.start, targets.end, pointers)
        scores += [
            pointer_error(*place, of="centre", valid=targets.has_span),
            pointer_error(*place, of="length", valid=targets.has_span),
            pointer_hit(*place, k=3, side="both", valid=targets.has_span),
        ]
    if forecast.countdown is not None:
        scores.append(countdown_error(targets.countdown, forecast.countdown))
    if kinds is not None:
        scores += [type_accuracy(targets.type, kinds), type_macro_f1(targets.type, kinds)]
    if pointers is not None and kinds is not None:
        scores.append(joint_success(targets, pointers, kinds))
    return scores
