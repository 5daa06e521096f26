"""One run of the expansion detector, from bars and spans to an honest report in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import moola_models
from moola_data.schema import Bars, Spans, WindowSet
from moola_data.window_subset import part
from moola_data.windows import window_view
from moola_eval.evaluation import evaluate
from moola_eval.schema import EvalInput, Prediction, Report, Threshold, Truth
from moola_eval.threshold import choose_threshold
from moola_train.fit import FitResult, fit
from moola_train.gradient_norms import GradientNorms
from moola_train.protocols import Callback
from moola_train.recipes.answers import answers_of
from moola_train.recipes.criteria import judged
from moola_train.recipes.decision import Decision, weights_digest, write_decision
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import experiment
from moola_train.recipes.provenance import metadata, package_versions, write_json, write_text
from moola_train.recipes.report_text import report_text
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.scoring import five_bar_rule, predictions
from moola_train.recipes.sigmas import Sigmas
from moola_train.recipes.tables import Tables
from moola_train.recipes.watching import FeatureStatistics, Progress, ProgressFunction
from moola_train.run_folder import RunFolder
from moola_train.schema import Split


class Outcome(NamedTuple):
    """A finished run."""

    folder: Path
    report: Report
    fitted: FitResult


def run_expansion(
    bars: Bars,
    spans: Spans,
    config: RunConfig,
    *,
    folder: Callable[[], Path],
    ceiling: float | None = None,
    notes: Sequence[str] = (),
    show: ProgressFunction | None = None,
) -> Outcome:
    """Trains, decides and reports.

    Args:
        bars: The bars.
        spans: Their expansions.
        config: Everything else.
        folder: Makes the run's folder; called when the input has been found good.
        ceiling: Best reachable span and bar F1, where it is known.
        notes: Sentences for the report, such as who labelled.
        show: Told of every finished epoch.

    Returns:
        The report and where it lies.

    Raises:
        ValueError: The input does not allow a run; nothing has been written then.
    """
    windows, purged = expansion_windows(bars, spans, config)
    windows, inner, test, model, tasks, balancer, data, scores = experiment(windows, config)
    with RunFolder.create(folder()) as run:
        write_json(run.path / "config.json", config.model_dump(mode="json"))
        write_json(run.path / "metadata.json", metadata(bars, spans, windows, purged, model, config))
        names = tuple(task.name for task in tasks)
        callbacks: list[Callback] = [
            GradientNorms(every=10),
            Sigmas(),
            FeatureStatistics(_features_by_part(windows), names=windows.feature_names),
            Tables(run.path, tasks=names),
            Progress(show or ProgressFunction()),
        ]
        fitted = fit(model, data, tasks, balancer, config.fit, folder=run, callbacks=callbacks, select=scores)
        chosen = choose_threshold(scores.answers(model).probability, Truth.model_validate(inner))
        report = evaluate(
            EvalInput(
                prediction=Prediction.model_validate(
                    predictions(
                        answers_of(
                            model, data, np.flatnonzero(windows.split == 2), config.data, config.decoding
                        ),
                        starts=test.starts,
                        group=test.group,
                        threshold=chosen.threshold,
                    )
                ),
                truth=Truth.model_validate(test),
            ),
            seed=config.evaluation.seed,
            train_truth=Truth.model_validate(part(windows, "train")),
            baselines={"five_bar_move": five_bar_rule(bars, inner, test)},
            ceiling=None if ceiling is None else {"span_f1": ceiling, "bar_f1": ceiling},
            threshold=chosen,
            resamples=config.evaluation.resamples,
        )
        report = judged(report, fitted, epochs=config.fit.epochs)
        card = {"span_f1": report_value(report, "span_f1"), "best_epoch": fitted.best_epoch}
        moola_models.save_model(model, run.path / "model", card=card)
        write_json(run.path / "report.json", json.loads(report.model_dump_json()))
        write_text(run.path / "report.md", report_text(report, config, notes))
        # Last: a folder with a decision is a finished run.
        write_decision(run.path, _decision(windows, config, chosen, weights_digest(run.path / "model")))
    return Outcome(run.path, report, fitted)


def report_value(report: Report, name: str) -> float | None:
    """The value of a metric; None where it is undefined or missing."""
    found = [metric.value for metric in report.metrics if metric.name == name]
    return found[0] if found and np.isfinite(found[0]) else None


def _decision(windows: WindowSet, config: RunConfig, chosen: Threshold, weights: str) -> Decision:
    return Decision(
        threshold=chosen.threshold,
        objective=chosen.metric,
        inner_value=chosen.value,
        fingerprint=chosen.fingerprint,
        feature_set=windows.feature_set,
        feature_names=windows.feature_names,
        length=windows.length,
        position=windows.position,
        pointer_encoding=config.data.pointer_encoding,
        countdown_form=config.data.countdown_form,
        type_names=windows.type_names,
        weights=weights,
        versions=package_versions(),
    )


def _features_by_part(windows: WindowSet) -> dict[Split, npt.NDArray[np.float32]]:
    seen = window_view(windows.features, length=windows.length)
    parts: dict[Split, npt.NDArray[np.float32]] = {}
    for number, name in enumerate(("train", "inner")):
        rows = seen[windows.starts[windows.split == number]]
        parts["train" if name == "train" else "inner"] = rows.reshape(-1, windows.features.shape[1])
    return parts
