"""One trial of a study: drawn data, one training, numbers. The function that the sweep's workers call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from moola_data.schema import WindowSet
from moola_eval.detection import span_f1
from moola_eval.schema import Truth
from moola_eval.spans import Spans
from moola_eval.targets import Targets
from moola_eval.threshold import choose_threshold
from moola_train.fit import FitResult, fit
from moola_train.recipes.answers import Answers, answers_of
from moola_train.recipes.encoder_folder import load_packaged
from moola_train.recipes.experiment import Experiment, experiment
from moola_train.recipes.pretraining import pretrain
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.scoring import predictions
from moola_train.recipes.sigmas import Sigmas
from moola_train.recipes.study_data import SOURCES, Material, material
from moola_train.recipes.task_pull import TaskPull
from moola_train.recipes.trial_numbers import reported_numbers
from moola_train.records import WALL_CLOCK

EPOCHS = (1, 5, 10, 20, 50, 100, 200)
"""The epochs at which a series is told."""
MEMBER = 10_000
"""Added to the seed of a further member of an ensemble."""


def trial(
    *, source: Mapping[str, JsonValue], run: Mapping[str, JsonValue], seed: int, members: int = 1
) -> dict[str, JsonValue]:
    """Draws data, trains once and measures.

    Args:
        source: A `moola_train.recipes.study_data` source, as JSON.
        run: A `RunConfig`, as JSON; its seeds are replaced.
        seed: Seed of the data, the network and the batches.
        members: Networks of different seeds whose in-span probabilities are averaged.

    Returns:
        Numbers by name. ``test/…`` are of the fresh windows, with ``null/…``, ``ceiling/…`` and ``skill/…``
        beside; ``inner/…`` of the part that choices saw; ``NAME@E`` are records after epoch E.

    Raises:
        ValueError: The source or the configuration is not sound.
    """
    config = seeded(RunConfig.model_validate(run), seed)
    drawn = material(SOURCES.validate_python(source), config.data, seed=seed)
    made, fitted, inner, found = _trained(drawn, config)
    for member in range(1, members):  # numbers of the training are those of the first
        _, _, more_inner, more_found = _trained(drawn, seeded(config, seed + MEMBER * member))
        inner, found = _sum(inner, more_inner), _sum(found, more_found)
    inner, found = (
        answers._replace(probability=answers.probability / np.float32(members)) for answers in (inner, found)
    )
    truth = Truth.model_validate(made.inner)
    chosen = choose_threshold(inner.probability, truth)
    bars = choose_threshold(inner.probability, truth, metric="bar_f1")
    numbers: dict[str, JsonValue] = {
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "parameters": sum(p.numel() for p in made.model.parameters()),
        "inner_windows": len(made.inner),
        "leaked": drawn.leaked,
        "threshold": chosen.threshold,
        "inner/span_f1": chosen.value,
        "inner/bar_f1": bars.value,
        "inner/decided_span_f1": decided_span_f1(made.inner, inner, chosen.threshold),
        "completed": float(fitted.epochs == config.fit.epochs or fitted.stopped == "patience"),
        "undefined_losses": sum(r.value is None and r.name == "loss" for r in fitted.records),
    }
    numbers |= reported_numbers(drawn, found, chosen.threshold, bar_threshold=bars.threshold, seed=seed)
    numbers |= _series(fitted)
    return numbers


class _Trained(NamedTuple):
    made: Experiment
    fitted: FitResult
    inner: Answers
    found: Answers


def _trained(drawn: Material, config: RunConfig) -> _Trained:
    """Trains one network; its answers for the inner and for the reported windows."""
    made = experiment(drawn.windows, config)
    if config.pretrain.kind == "packaged":
        load_packaged(made.model, made.windows)
    elif config.pretrain.kind != "none":
        if drawn.unlabelled is None and config.pretrain.kind != "worlds":
            raise ValueError("source.unlabelled: want windows to pretrain on, got 0")
        features, starts, rule = drawn.unlabelled or (made.windows.features, made.windows.starts, None)
        pretrain(made.model, features, starts, config, rule=rule)
    fitted = fit(
        made.model,
        made.data,
        made.tasks,
        made.balancer,
        config.fit,
        callbacks=[Sigmas(), TaskPull(epochs=EPOCHS)],
        select=made.scores,
    )
    inner, found = (
        answers_of(
            made.model, made.data, np.flatnonzero(drawn.windows.split == number), config.data, config.decoding
        )
        for number in (1, 2)
    )
    return _Trained(made, fitted, inner, found)


def _sum(one: Answers, other: Answers) -> Answers:
    """Adds in-span probabilities; whatever else is answered is the first's."""
    if one.marks is not None:
        raise ValueError("members: want decoding.kind 'threshold' where answers are averaged")
    return one._replace(probability=one.probability + other.probability)


def decided_span_f1(windows: WindowSet, found: Answers, threshold: float) -> float:
    """Span F1 at IoU .5 of the spans that the run's decision makes of answers."""
    decided = predictions(found, starts=windows.starts, group=windows.group, threshold=threshold).spans
    spans = Spans.of(decided.window, decided.start, decided.end, lengths=[windows.length] * len(windows))
    return float(span_f1(Targets.of(Truth.model_validate(windows)).spans, spans, labels="ignored").value)


def seeded(config: RunConfig, seed: int) -> RunConfig:
    """Puts one seed everywhere."""
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"seed": seed}),
            "fit": config.fit.model_copy(update={"seed": seed, "threads": 1}),
            "pretrain": config.pretrain.model_copy(update={"seed": seed}),
            "evaluation": config.evaluation.model_copy(update={"seed": seed}),
        }
    )


def _series(fitted: FitResult) -> dict[str, JsonValue]:
    numbers: dict[str, JsonValue] = {}
    best: dict[str, float] = {}
    for record in fitted.records:
        if record.name in WALL_CLOCK:
            continue
        name = "/".join(word for word in (record.split, record.task, record.name) if word)
        if record.epoch in EPOCHS:
            numbers[f"{name}@{record.epoch}"] = record.value
        if record.split == "inner" and record.value is not None:
            last = f"{name}@last"
            numbers[last] = record.value
            for sign, word in ((1, "lowest"), (-1, "highest")):
                key = f"{name}@{word}"
                if key not in best or sign * record.value < sign * best[key]:
                    best[key] = record.value
    return numbers | {name: value for name, value in best.items() if name.split("@")[0] in _EXTREMES}


_EXTREMES = ("inner/loss", "inner/origin_span_f1")
