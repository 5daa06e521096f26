"""Networks that judge only what they were not trained on: all bars of a file, fold by fold of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.blocks import time_blocks
from moola_data.expansion_rule import label_expansions
from moola_data.features import compute_features
from moola_data.intervals import window_intervals
from moola_data.mirror import with_mirrored
from moola_data.purged_group_kfold import PurgedGroupKFold
from moola_data.schema import Bars, Spans, WindowSet
from moola_data.window_set import build_window_set
from moola_data.window_split import WindowSplit
from moola_data.window_subset import part, select
from moola_data.windows import window_starts
from moola_models import Jade
from moola_train.batches import WindowedBars
from moola_train.device import choose_device
from moola_train.fit import fit
from moola_train.recipes.covering import covering_starts
from moola_train.recipes.encoder_folder import load_packaged
from moola_train.recipes.expansion import expansion_balancer, expansion_model, expansion_tasks
from moola_train.recipes.inner_scores import InnerScores
from moola_train.recipes.pretraining import pretrain
from moola_train.recipes.run_config import RunConfig

Int = npt.NDArray[np.int64]


class Fold(NamedTuple):
    """A network, and windows of which it has seen no bar."""

    number: int
    model: Jade
    windows: WindowSet
    """Half-overlapping windows that cover the fold's time, with the labels that are to be judged."""


def cross_fitted(bars: Bars, spans: Spans, config: RunConfig, *, folds: int) -> Iterator[Fold]:
    """Trains one network a fold and hands it over with the windows of the fold.

    Folds are stretches of time across all symbols. A network is trained on the run's windows that share
    neither a bar nor a label with its fold, nor a time. Where the configuration keeps the best epoch, the
    following fold chooses it and is not trained on either.

    Args:
        bars: The bars.
        spans: Their labels, right or wrong.
        config: Of the trainings; its fractions do not apply.
        folds: How many.

    Raises:
        ValueError: Too few bars for so many folds, or a fold's training has no span.
    """
    section = config.data
    features = compute_features(bars, section.feature_set)
    learnt = window_starts(bars.segment, length=section.length, stride=section.stride)
    judged = covering_starts(bars.segment, length=section.length, mode="both")
    starts = np.concatenate([learnt, judged])
    group = time_blocks(bars, size=section.block or section.length)[starts + section.length // 2]
    of_time = window_intervals(bars, spans, starts, length=section.length)
    splitter = PurgedGroupKFold(
        folds, prediction_times=of_time.first, evaluation_times=of_time.last, groups=group
    )
    cut = list(splitter.split())
    chooses = config.fit.restore == "best" or config.fit.patience is not None
    if chooses and folds < 3:
        raise ValueError(f"folds: want 3 or more where another fold chooses the best epoch, got {folds}")
    for number, (train, test) in enumerate(cut):
        inner = np.zeros(0, np.int64)
        if chooses:
            others, following = cut[(number + 1) % folds]
            train, inner = np.intersect1d(train, others), following[following >= len(learnt)]
            # The neighbouring fold's windows may hold bars of this one.
            inner = inner[~splitter.leaking(inner, test)]
        train, test = train[train < len(learnt)], test[test >= len(learnt)]
        chosen = np.concatenate([train, inner, test])
        of_part = np.repeat(np.arange(3, dtype=np.int8), [len(train), len(inner), len(test)])
        windows = build_window_set(
            bars,
            features,
            spans,
            length=section.length,
            position=section.position,
            span_form=section.span_form,
            pointer_encoding=section.pointer_encoding,
            countdown_form=section.countdown_form,
            countdown_band=section.countdown_band,
            split=WindowSplit(
                starts=starts[chosen], length=section.length, group=group[chosen], split=of_part, purged={}
            ),
        )
        for name, asked in (("train", True), ("inner", chooses)):
            mine = select(windows, windows.split == ("train", "inner").index(name))
            if asked and not (mine.spans.weight > 0).any():
                raise ValueError(
                    f"folds: want a span of weight above 0 in the {name} part of each, "
                    f"got none in {len(mine)} windows of fold {number}"
                )
        yield Fold(number, _trained(windows, bars, config, chooses=chooses), part(windows, "test"))


def _trained(windows: WindowSet, bars: Bars, config: RunConfig, *, chooses: bool) -> Jade:
    known = select(windows, windows.split < 2)
    if config.data.mirror:
        known = with_mirrored(known)
    tasks = expansion_tasks(known, config)
    model = expansion_model(known, config)
    if config.pretrain.kind == "packaged":
        load_packaged(model, known)
    elif config.pretrain.kind != "none":
        starts = windows.starts[windows.split == 0]
        rule = label_expansions(bars) if config.pretrain.kind == "rules" else None
        pretrain(model, windows.features, starts, config, rule=rule)
    data = WindowedBars(known, device=choose_device(config.fit.device))
    balancer = expansion_balancer(tasks, config)
    settings, select_by = config.fit, None
    if chooses:
        select_by = InnerScores(data, known, part(known, "inner"), config.data)
    else:
        settings = settings.model_copy(update={"selection": "loss"})
    fit(model, data, tasks, balancer, settings, select=select_by)
    return model
