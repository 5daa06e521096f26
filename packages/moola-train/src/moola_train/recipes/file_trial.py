"""One training on files, measured: what `moola sweep` and `moola walk-forward` give to their workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from moola_eval.schema import Report
from moola_train.fit import fit
from moola_train.recipes.bar_range import bars_between
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import experiment
from moola_train.recipes.first_weights import first_weights
from moola_train.recipes.reporting import report_on_test
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.trial import seeded

FUNCTION = "moola_train.recipes.file_trial:file_trial"


def file_trial(
    *,
    bars: str,
    spans: str,
    bars_fingerprint: str,
    spans_fingerprint: str,
    run: Mapping[str, JsonValue],
    seed: int,
    begin: str | None = None,
    end: str | None = None,
) -> dict[str, JsonValue]:
    """Trains once on files and measures on the test part.

    Args:
        bars: Path of the bars file.
        spans: Path of the spans file.
        bars_fingerprint: What the bars have to be.
        spans_fingerprint: What the spans have to be.
        run: A `RunConfig`, as JSON; its seeds are replaced.
        seed: Of the network, the batches and the resampling.
        begin: First time of the bars to use, ISO 8601; None: all.
        end: Last time, included.

    Returns:
        Numbers by name: ``NAME`` of every metric on the test part with ``NAME/low``, ``/high`` (interval),
        ``/null`` (strongest chance level) and ``/skill``; sizes, times, epochs, threshold.

    Raises:
        ValueError: Files or configuration are not sound, or the files have changed.
    """
    config = seeded(RunConfig.model_validate(run), seed)
    inputs = file_inputs(Path(bars), Path(spans), types=config.data.types)
    for what, wanted, got in (
        ("bars", bars_fingerprint, inputs.source.bars_fingerprint),
        ("spans", spans_fingerprint, inputs.source.spans_fingerprint),
    ):
        if wanted != got:
            raise ValueError(f"{what}: want those the job was listed for ({wanted[:12]}…), got {got[:12]}…")
    used, labels = bars_between(inputs.bars, inputs.spans, begin=begin, end=end)
    windows, purged = expansion_windows(used, labels, config)
    made = experiment(windows, config)
    first_weights(made, used, config)
    fitted = fit(made.model, made.data, made.tasks, made.balancer, config.fit, select=made.scores)
    report, chosen, _ = report_on_test(made, used, config, ceiling=None)
    numbers: dict[str, JsonValue] = {
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "best_value": fitted.best_value,
        "threshold": chosen.threshold,
        "inner_value": chosen.value,
        "purged_windows": sum(purged.values()),
    }
    for number, name in enumerate(("train", "inner", "test")):
        starts = windows.starts[windows.split == number]
        starts = starts[starts + windows.length <= len(used)]  # mirrored windows lie after the bars
        numbers[f"{name}_windows"] = len(starts)
        numbers[f"{name}_begin"] = str(used.time[starts].min())
        numbers[f"{name}_end"] = str(used.time[starts + windows.length - 1].max())
    return numbers | _metrics(report)


def _metrics(report: Report) -> dict[str, JsonValue]:
    numbers: dict[str, JsonValue] = {"positive_rate": _finite(report.data.positive_rate)}
    for metric in report.metrics:
        numbers[metric.name] = _finite(metric.value)
        if metric.interval is not None:
            numbers[f"{metric.name}/low"] = _finite(metric.interval.low)
            numbers[f"{metric.name}/high"] = _finite(metric.interval.high)
        if metric.strongest_null is not None:
            numbers[f"{metric.name}/null"] = _finite(metric.nulls[metric.strongest_null])
            numbers[f"{metric.name}/skill"] = _finite(metric.skill)
    return numbers


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
