"""Trackers: callbacks that show a run's numbers in somebody else's tool, by kind.

A tracker takes what the epoch has recorded, in one batch, once an epoch, on the first rank. It belongs last
in the list of callbacks, so that it sees the rows of the others. ``records.jsonl`` stays the truth.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from moola_train.protocols import Callback
from moola_train.schema import Record

GROUP = "moola_train.trackers"
"""Entry-point group in which another package names its tracker class under its kind."""
BUILT_IN: Mapping[str, str] = {
    "tensorboard": "moola_train.tensorboard_tracker:TensorBoardTracker",
    "mlflow": "moola_train.mlflow_tracker:MLflowTracker",
    "wandb": "moola_train.wandb_tracker:WandbTracker",
}
"""This package's own trackers by kind: ``module:class``, imported when asked for."""


def make_tracker(kind: str, folder: Path | str) -> Callback:
    """Makes a tracker of a run.

    Args:
        kind: One of `BUILT_IN`, or what an installed package offers in the entry-point group `GROUP`.
        folder: Of the run; the tracker keeps its files inside.

    Returns:
        A callback; give it to `moola_train.fit` after all others.

    Raises:
        ValueError: There is no such kind, or its extra is not installed.
        TypeError: What a package offers is no class that takes a folder and makes a callback.
    """
    made: object
    if kind in BUILT_IN:
        module, _, name = BUILT_IN[kind].partition(":")
        made = getattr(importlib.import_module(module), name)(Path(folder))
    else:
        offered = {point.name: point for point in entry_points(group=GROUP)}
        if kind not in offered:
            raise ValueError(f"tracker: want one of {', '.join(sorted([*BUILT_IN, *offered]))}, got {kind!r}")
        found: object = offered[kind].load()
        if not isinstance(found, type):
            raise TypeError(f"entry point {GROUP}:{kind}: want a class, got {found!r}")
        made = found(Path(folder))
    if not callable(getattr(made, "on_epoch_end", None)):
        raise TypeError(f"entry point {GROUP}:{kind}: want a callback, got {type(made).__name__}")
    return made  # type: ignore[return-value]


def tag(record: Record) -> str:
    """Names a record's series: part, task and name.

    >>> tag(Record(step=7, epoch=1, split="inner", task="span", name="loss", value=0.5))
    'inner/span/loss'
    """
    return "/".join(word for word in (record.split, record.task, record.name) if word)


def number(record: Record) -> float:
    """The record's value; an undefined one is NaN again."""
    return float("nan") if record.value is None else record.value
