"""One run of the expansion detector, from bars and spans to an honest report in a folder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import moola_models
from moola_data.card import dataset_card
from moola_data.schema import WindowSet
from moola_data.windows import window_view
from moola_eval.schema import Report
from moola_train.fit import FitResult, fit
from moola_train.gradient_norms import GradientNorms
from moola_train.protocols import Callback
from moola_train.recipes.criteria import judged
from moola_train.recipes.deciding import decide
from moola_train.recipes.decision import NAME as DECISION
from moola_train.recipes.decision import weights_digest, write_decision
from moola_train.recipes.doctor_watch import watch_of
from moola_train.recipes.drift import NAME as DRIFT
from moola_train.recipes.drift import remember
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import Experiment, experiment
from moola_train.recipes.first_weights import first_weights
from moola_train.recipes.going_on import going_on
from moola_train.recipes.provenance import (
    changed_versions,
    metadata,
    write_json,
    write_text,
)
from moola_train.recipes.report_text import report_text
from moola_train.recipes.reporting import report_on_test
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_page import PAGE, run_page
from moola_train.recipes.run_source import RunInputs, stored_run, write_source
from moola_train.recipes.sigmas import Sigmas
from moola_train.recipes.table_cut import cut_tables
from moola_train.recipes.tables import Tables
from moola_train.recipes.task_pull import TaskPull
from moola_train.recipes.watching import FeatureStatistics, Progress, ProgressFunction
from moola_train.run_folder import RunFolder
from moola_train.schema import Split
from moola_train.trackers import make_tracker

PULLS = 12
"""Epochs at most whose first batch tells how hard each task pulls: a backward pass a task."""


class Outcome(NamedTuple):
    """A finished run."""

    folder: Path
    report: Report
    fitted: FitResult


def run_expansion(
    inputs: RunInputs,
    config: RunConfig,
    *,
    folder: Callable[[], Path],
    show: ProgressFunction | None = None,
    tell: Callable[[str], None] | None = None,
) -> Outcome:
    """Trains, decides and reports.

    Args:
        inputs: The bars, their expansions, and where both come from.
        config: Everything else.
        folder: Makes the run's folder; called when the input has been found good.
        show: Told of every finished epoch.
        tell: Told of pretrained weights and of what the doctor finds; the latter warns where omitted.

    Returns:
        The report and where it lies.

    Raises:
        ValueError: The input does not allow a run; nothing has been written then.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; `resume_expansion` goes on from there.
    """
    bars, spans, source = inputs
    windows, purged = expansion_windows(bars, spans, config)
    made = experiment(windows, config)
    pretrained = None if source.pretrained is None else Path(source.pretrained)
    begun = first_weights(made, bars, config, pretrained=pretrained)
    for words in begun:
        if tell is not None:
            tell(words)
    source = source.model_copy(update={"notes": (*source.notes, *begun)})
    card = dataset_card(bars, spans, window_set=windows)
    about = metadata(bars, spans, windows, purged, made.model, config, card=card)
    rows = windows.starts[windows.split == 0, None] + np.arange(windows.length)
    seen = remember(
        windows.features[np.unique(rows)], names=windows.feature_names, feature_set=windows.feature_set
    )
    with RunFolder.create(folder()) as run:
        write_source(run.path, source, config)
        write_json(run.path / "metadata.json", about)
        write_json(run.path / DRIFT, seen.model_dump(mode="json"))
        return _train(run, made, inputs._replace(source=source), config, show=show, tell=tell, resume=False)


def resume_expansion(
    folder: Path, *, show: ProgressFunction | None = None, tell: Callable[[str], None] | None = None
) -> Outcome:
    """Goes on with a run that was interrupted, bit for bit as if it had not been.

    Args:
        folder: Of the run; its bars and spans are read from where they were.
        show: As in `run_expansion`.
        tell: As there; also told of installed versions that are not those of the run.

    Returns:
        The report and where it lies.

    Raises:
        FileNotFoundError: It is no run folder, has no checkpoint yet, or its bars or spans are gone.
        ValueError: The run is finished, or its bars or spans have changed.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; call it again.
    """
    if (folder / DECISION).is_file():
        raise ValueError(f"run: want an interrupted run, got {folder}, which is finished")
    inputs, config = stored_run(folder)
    windows, _ = expansion_windows(inputs.bars, inputs.spans, config)
    made = experiment(windows, config)
    with RunFolder.open(folder) as run:
        for words in changed_versions(run.path / "metadata.json"):
            (tell or _warn)(words)
        cut_tables(run.path, after=int(str(run.latest().state["epoch"])))
        return _train(run, made, inputs, config, show=show, tell=tell, resume=True)


def _train(
    run: RunFolder,
    made: Experiment,
    inputs: RunInputs,
    config: RunConfig,
    *,
    show: ProgressFunction | None,
    tell: Callable[[str], None] | None,
    resume: bool,
) -> Outcome:
    with going_on(run.path):
        fitted = fit(
            made.model,
            made.data,
            made.tasks,
            made.balancer,
            config.fit,
            folder=run,
            callbacks=_callbacks(run, made, inputs, config, show=show, tell=tell),
            select=made.scores,
            resume=resume,
        )
        return _report(run, made, inputs, config, fitted)


def _callbacks(
    run: RunFolder,
    made: Experiment,
    inputs: RunInputs,
    config: RunConfig,
    *,
    show: ProgressFunction | None,
    tell: Callable[[str], None] | None,
) -> list[Callback]:
    callbacks: list[Callback] = [
        GradientNorms(every=10),
        TaskPull(epochs=range(1, config.fit.epochs + 1, -(-config.fit.epochs // PULLS))),
        Sigmas(),
        FeatureStatistics(_features_by_part(made.windows), names=made.windows.feature_names),
        Tables(run.path, tasks=tuple(task.name for task in made.tasks)),
        Progress(show or ProgressFunction()),
    ]
    if config.doctor.every:
        callbacks.append(watch_of(made, config, every=config.doctor.every, folder=run.path, tell=tell))
    return callbacks + [make_tracker(kind, run.path) for kind in inputs.source.trackers]


def _report(
    run: RunFolder, made: Experiment, inputs: RunInputs, config: RunConfig, fitted: FitResult
) -> Outcome:
    report, chosen, data = report_on_test(made, inputs.bars, config, ceiling=inputs.source.ceiling)
    report = judged(report, fitted, epochs=config.fit.epochs)
    card = {"span_f1": report_value(report, "span_f1"), "best_epoch": fitted.best_epoch}
    moola_models.save_model(
        made.model, run.path / "model", card=card, overwrite=(run.path / "model").exists()
    )
    write_json(run.path / "report.json", json.loads(report.model_dump_json()))
    decision = decide(
        made.model,
        made.windows,
        made.inner,
        made.test,
        inputs.bars,
        config.data,
        alone=chosen,
        weights=weights_digest(run.path / "model"),
    )
    marking = decision.marking("both")
    text = report_text(report, config, inputs.source.notes, marking=marking)
    write_text(run.path / "report.md", text)
    page = run_page(
        run.path,
        inputs=inputs,
        config=config,
        windows=made.windows,
        report=report,
        data=data,
        marking=marking,
    )
    write_text(run.path / PAGE, page)
    # Last: a folder with a decision is a finished run.
    write_decision(run.path, decision)
    return Outcome(run.path, report, fitted)


def report_value(report: Report, name: str) -> float | None:
    """The value of a metric; None where it is undefined or missing."""
    found = [metric.value for metric in report.metrics if metric.name == name]
    return found[0] if found and np.isfinite(found[0]) else None


def _warn(words: str) -> None:
    warnings.warn(words, RuntimeWarning, stacklevel=2)


def _features_by_part(windows: WindowSet) -> dict[Split, npt.NDArray[np.float32]]:
    seen = window_view(windows.features, length=windows.length)
    parts: dict[Split, npt.NDArray[np.float32]] = {}
    for number, name in enumerate(("train", "inner")):
        rows = seen[windows.starts[windows.split == number]]
        parts["train" if name == "train" else "inner"] = rows.reshape(-1, windows.features.shape[1])
    return parts
