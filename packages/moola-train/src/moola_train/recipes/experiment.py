"""Everything a run is made of, put together and checked before the first step."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

import moola_models
from moola_data.schema import WindowSet
from moola_data.window_subset import part
from moola_eval.schema import Truth
from moola_eval.threshold import choose_threshold
from moola_losses.balancer import Balancer
from moola_models.freezing import freeze_encoder
from moola_train.batches import WindowedBars
from moola_train.device import choose_device
from moola_train.parameter_groups import parameter_groups
from moola_train.recipes.expansion import expansion_balancer, expansion_model, expansion_tasks
from moola_train.recipes.inner_scores import InnerScores
from moola_train.recipes.run_config import RunConfig
from moola_train.task import Task


class Experiment(NamedTuple):
    """What `moola_train.fit` takes, with the labels beside it."""

    windows: WindowSet
    inner: WindowSet
    test: WindowSet
    model: moola_models.Jade
    tasks: tuple[Task, ...]
    balancer: Balancer
    data: WindowedBars
    scores: InnerScores


def experiment(windows: WindowSet, config: RunConfig) -> Experiment:
    """Builds network, tasks and balancer for windows.

    Args:
        windows: With windows of all three parts.
        config: The run.

    Returns:
        The parts, ready to be trained.

    Raises:
        ValueError: The windows or the configuration do not allow a run.
    """
    ranks = os.environ.get("WORLD_SIZE", "1")
    if ranks != "1":
        raise ValueError(
            f"WORLD_SIZE: want one process for a recipe, got {ranks}: `moola_train.fit` trains on several, "
            "`moola sweep` runs many"
        )
    inner, test = part(windows, "inner"), part(windows, "test")
    for name, some in (("train", part(windows, "train")), ("inner", inner), ("test", test)):
        if not (some.spans.weight > 0).any():
            seen = f"{len(some.spans.start)} in {len(some)} windows"
            raise ValueError(f"spans: want at least one of weight above 0 in the {name} part, got {seen}")
    blocks = len(np.unique(test.group))
    if blocks < 2:
        raise ValueError(f"bars: want a test part of 2 time blocks or more for intervals, got {blocks}")
    if config.fit.precision in ("fp16", "tf32") and choose_device(config.fit.device).type == "cpu":
        raise ValueError(f"fit.precision: want 'fp32' or 'bf16' on the CPU, got {config.fit.precision!r}")
    tasks = expansion_tasks(windows, config)
    balancer = expansion_balancer(tasks, config)
    model = expansion_model(windows, config)
    if config.pretrain.freeze:
        if config.pretrain.kind == "none":
            raise ValueError("pretrain.freeze: want a pretrained encoder, got pretrain.kind 'none'")
        freeze_encoder(model)
    parameter_groups(model, balancer, config.fit)  # a pattern that matches nothing is said before the work
    data = WindowedBars(windows, device=choose_device(config.fit.device))
    scores = InnerScores(data, windows, inner, config.data)
    selections = {"loss", *scores(model, "inner")}
    if config.fit.selection not in selections:
        raise ValueError(f"fit.selection: want one of {sorted(selections)}, got {config.fit.selection!r}")
    choose_threshold(scores.answers(model).probability, Truth.model_validate(inner))
    return Experiment(windows, inner, test, model, tasks, balancer, data, scores)
