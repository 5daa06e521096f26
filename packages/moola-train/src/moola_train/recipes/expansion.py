"""The expansion detector's parts: windows, network and losses as the configuration names them."""

from __future__ import annotations

import moola_data.features
import moola_data.mirror
import moola_data.window_set
import moola_data.window_split
import moola_models
import moola_models.config
from moola_data.schema import Bars, Spans, WindowSet
from moola_losses.bar_bce import BarBCE
from moola_losses.cross_entropy import CrossEntropy
from moola_losses.huber import Huber
from moola_losses.log_likelihood import LogLikelihood
from moola_losses.protocol import TaskLoss
from moola_train.recipes.run_config import LossSection, RunConfig
from moola_train.task import Task

TASKS = ("type", "pointers", "span", "countdown")


def expansion_windows(bars: Bars, spans: Spans, config: RunConfig) -> tuple[WindowSet, dict[str, int]]:
    """Cuts the labelled windows of a run and splits them in time.

    Args:
        bars: The bars.
        spans: Their expansions.
        config: The run.

    Returns:
        The windows, and how many were purged at the parts' edges, by part.

    Raises:
        ValueError: Too few bars for one window in every part, or a key of the configuration does not fit.
    """
    wanted = config.data
    split = moola_data.window_split.split_windows(
        bars,
        spans,
        length=wanted.length,
        stride=wanted.stride,
        fractions=wanted.fractions,
        block=wanted.block,
    )
    windows = moola_data.window_set.build_window_set(
        bars,
        moola_data.features.compute_features(bars, wanted.feature_set),
        spans,
        length=wanted.length,
        stride=wanted.stride,
        position=wanted.position,
        pointer_encoding=wanted.pointer_encoding,
        countdown_form=wanted.countdown_form,
        countdown_band=wanted.countdown_band,
        span_form=wanted.span_form,
        split=split,
    )
    if wanted.mirror:
        windows = moola_data.mirror.with_mirrored(windows)
    return windows, dict(split.purged)


def trained_tasks(windows: WindowSet) -> tuple[str, ...]:
    """Names the tasks that have a known target in the training windows: without types, not the type."""
    train = windows.split == 0
    return tuple(name for name in TASKS if windows.masks[name][train].any())


def expansion_model(windows: WindowSet, config: RunConfig) -> moola_models.Jade:
    """Builds the network with one head for every task that can be trained."""
    preset = {"compact": moola_models.compact, "core": moola_models.core}[config.model.preset]
    size = windows.features.shape[1] + int(windows.position)
    classes = len(windows.type_names)
    every = moola_models.config.brief_heads(classes=classes, span=config.model.span)
    names = trained_tasks(windows)
    heads = tuple(head for head in every if head.name in names)
    return moola_models.Jade(
        preset(size, classes=classes, window=windows.length, heads=heads), seed=config.model.seed
    )


def expansion_tasks(windows: WindowSet, config: RunConfig) -> tuple[Task, ...]:
    """Ties every trainable task to its loss."""
    losses = _losses(config.losses, config.model.span)
    classes = {"type": len(windows.type_names)}
    return tuple(Task(name, losses[name], classes=classes.get(name)) for name in trained_tasks(windows))


def _losses(section: LossSection, span: str) -> dict[str, TaskLoss]:
    per_bar = BarBCE(pos_weight=section.span_positive_weight)
    return {
        "type": CrossEntropy(),
        "pointers": Huber(delta=section.pointer_delta),
        "span": LogLikelihood() if span == "crf" else per_bar,
        "countdown": Huber(delta=section.countdown_delta),
    }
