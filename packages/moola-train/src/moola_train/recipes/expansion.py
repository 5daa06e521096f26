"""The expansion detector's parts: windows, network and losses as the configuration names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

import moola_data.features
import moola_data.mirror
import moola_data.window_set
import moola_data.window_split
import moola_models
from moola_data.schema import Bars, Spans, WindowSet
from moola_losses.balancer import Balancer
from moola_losses.bar_bce import BarBCE
from moola_losses.cross_entropy import CrossEntropy
from moola_losses.huber import Huber
from moola_losses.log_likelihood import LogLikelihood
from moola_losses.protocol import LossSum, TaskLoss
from moola_models.config import JadeConfig, brief_heads
from moola_models.heads import HeadConfig
from moola_train.recipes.run_config import TASKS, RunConfig
from moola_train.task import Task

RAW_COUNTDOWN = ("countdown_scalar", "countdown_buckets")
LOSSES: dict[str, Callable[[], TaskLoss]] = {
    "type": CrossEntropy,
    "pointers": lambda: Huber(delta=0.08),  # in window lengths
    "pointers_soft": lambda: Huber(delta=0.08),
    "span": BarBCE,
    "countdown": Huber,
    "countdown_scalar": Huber,
}
"""What a head's output is compared by unless the configuration says otherwise; a kind that is not here gives
its own log-likelihood."""


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


def trained_tasks(windows: WindowSet, config: RunConfig) -> tuple[str, ...]:
    """Names the wanted tasks with a known target in the training windows: without types, not the type."""
    train = windows.split == 0
    return tuple(name for name in TASKS if name in config.model.tasks and windows.masks[name][train].any())


def expansion_model(windows: WindowSet, config: RunConfig) -> moola_models.Jade:
    """Builds the network with one head for every task that can be trained.

    Raises:
        ValueError: The parts of the model section do not fit each other.
    """
    section = config.model
    preset = {"compact": moola_models.compact, "core": moola_models.core}[section.preset]
    size = windows.features.shape[1] + int(windows.position)
    classes = len(windows.type_names)
    standard = {head.name: head for head in brief_heads(classes=classes)}
    chosen: dict[str, HeadConfig] = {**standard}
    chosen.update(section.heads.items())
    if "type" in section.heads:
        chosen["type"] = section.heads["type"].model_copy(update={"classes": classes})
    heads = tuple(chosen[name] for name in trained_tasks(windows, config))
    base = preset(size, classes=classes, window=windows.length, heads=heads)
    names = ("encoder", "hidden", "layers", "input_dropout", "layer_dropout", "dense_dropout")
    given = {name: value for name in names if (value := getattr(section, name)) is not None}
    return moola_models.Jade(JadeConfig.model_validate({**dict(base), **given}), seed=section.seed)


def expansion_tasks(windows: WindowSet, config: RunConfig) -> tuple[Task, ...]:
    """Ties every trainable task to its loss.

    Raises:
        ValueError: A head needs another form of the countdown.
    """
    classes = {"type": len(windows.type_names)}
    return tuple(
        Task(name, _loss(name, config), classes=classes.get(name)) for name in trained_tasks(windows, config)
    )


class FirstBar:
    """A loss on the first bar's target alone: of a countdown that is one number a window."""

    def __init__(self, loss: TaskLoss) -> None:
        self.loss = loss

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares (B,) numbers with the first column of a target (B, K)."""
        return self.loss(output, target[:, 0], mask if mask.ndim == 1 else mask[:, 0], weight)


def _loss(task: str, config: RunConfig) -> TaskLoss:
    head = config.model.heads.get(task)  # type: ignore[call-overload]
    kind = task if head is None else head.kind
    if kind in RAW_COUNTDOWN and config.data.countdown_form != "raw":
        raise ValueError(f"data.countdown_form: want 'raw' for {kind}, got {config.data.countdown_form!r}")
    given = config.losses.get(task)  # type: ignore[call-overload]
    loss: TaskLoss = given if given is not None else LOSSES.get(kind, LogLikelihood)()
    return FirstBar(loss) if kind == "countdown_scalar" else loss


def expansion_balancer(tasks: Sequence[Task], config: RunConfig) -> Balancer:
    """Builds the run's balancer.

    Args:
        tasks: Of the run.
        config: The run. A number that its balancer has for one of the recipe's tasks which this run does not
            train, such as a weight of the type where no span has one, has nothing to act on and is left out.

    Raises:
        ValueError: The balancer's settings do not fit each other, or name a task that is not the recipe's.
    """
    names = tuple(task.name for task in tasks)
    absent = set(TASKS) - set(names)
    numbers = {
        key: {name: number for name, number in value.items() if name not in absent}
        for key, value in config.balancer
        if isinstance(value, Mapping)
    }
    return config.balancer.model_copy(update=numbers).build(names)
