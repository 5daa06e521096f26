"""Looks once at all the data before training: the parts, the shapes, the values."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from moola_train.batches import Batch
from moola_train.protocols import Data
from moola_train.task import Task
from moola_train.task_losses import batches


class Parts(NamedTuple):
    """Row numbers of the parts of a data set that training touches, int64 on the CPU."""

    train: Tensor
    inner: Tensor


def split_rows(data: Data) -> Parts:
    """Reads the data's ``split``: 0 train, 1 inner, 2 test; all train where it has none.

    Raises:
        ValueError: A wrong length or value, or no training example.
    """
    n = len(data)
    split = getattr(data, "split", None)
    split = torch.zeros(n, dtype=torch.int8) if split is None else torch.as_tensor(split).cpu()
    if split.shape != (n,):
        raise ValueError(f"split: want shape ({n},), got {tuple(split.shape)}")
    bad = ((split < 0) | (split > 2)).nonzero().flatten()
    if len(bad):
        raise ValueError(f"split: want 0, 1 or 2, got {int(split[bad[0]])} in row {int(bad[0])}")
    train, inner = ((split == part).nonzero().flatten() for part in (0, 1))
    if not len(train):
        raise ValueError(f"split: want at least one training example (0), got none in {n} rows")
    return Parts(train, inner)


def check_data(
    data: Data, tasks: Sequence[Task], parts: Parts, *, batch_size: int, needs_inner: bool
) -> Tensor:
    """Gathers the training and the inner part once and checks every value a task will see.

    k tasks, n examples.

    Args:
        data: The data.
        tasks: The tasks.
        parts: From `split_rows`.
        batch_size: Examples gathered at once.
        needs_inner: Whether each task needs a known target in the inner part too.

    Returns:
        bool (n, k) on the CPU: whether an example has a known target of a task, with a weight above 0. False
        outside the two parts.

    Raises:
        ValueError: Inputs that are not finite, a target not finite where known, a label outside its task's
            classes, a negative weight, or a task of which no target is known. Names the row of the data set.
    """
    known = torch.zeros(len(data), len(tasks), dtype=torch.bool)
    gathering = _Gathering()
    for part, rows in parts._asdict().items():
        start = 0
        all_batches = batches(data, rows, batch_size=batch_size, device=torch.device("cpu"))
        for batch in gathering.timed(all_batches):
            here = rows[start : start + batch_size]
            start += len(here)
            _check_batch(batch, here)
            for i, task in enumerate(tasks):
                known[here, i] = _check_task(task, batch, here)
        if part == "train" or (needs_inner and len(rows)):
            for task, is_known in zip(tasks, known[rows].any(0).tolist(), strict=True):
                if not is_known:
                    raise ValueError(f"task {task.name!r}: want a known target in the {part} part, got none")
    gathering.warn_if_slow(len(parts.train) + len(parts.inner))
    return known


class _Gathering:
    """Measures how long the data takes to give its examples."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, source: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            began = time.perf_counter()
            batch = next(source, None)
            self.seconds += time.perf_counter() - began
            if batch is None:
                return
            yield batch

    def warn_if_slow(self, examples: int) -> None:
        # A gather takes about a microsecond an example; building features anew takes ten thousand.
        each = self.seconds / examples
        if each > 1e-3 and self.seconds > 0.5:
            warnings.warn(
                f"this will be slow because the data takes {1e3 * each:.3g} ms an example,"
                f" {self.seconds:.3g} s an epoch: build features once and gather rows of them by index",
                RuntimeWarning,
                stacklevel=2,
            )


def _check_batch(batch: Batch, rows: Tensor) -> None:
    for name, values in (("inputs", batch.inputs), ("weight", batch.weight)):
        if len(values) != len(rows):
            raise ValueError(f"{name}: want {len(rows)} rows in a batch, got {len(values)}")
        _refuse(~values.isfinite(), rows, f"{name}: want finite values", values)
    _refuse(batch.weight < 0, rows, "weight: want 0 or more", batch.weight)


def _check_task(task: Task, batch: Batch, rows: Tensor) -> Tensor:
    if task.target not in batch.targets or task.target not in batch.masks:
        there = sorted(batch.targets.keys() & batch.masks.keys())
        raise ValueError(f"task {task.name!r}: want target and mask {task.target!r}, got {there}")
    target, mask = batch.targets[task.target], batch.masks[task.target]
    if mask.dtype != torch.bool or mask.shape not in (target.shape, target.shape[:1]):
        wanted = f"bool {tuple(target.shape[:1])} or {tuple(target.shape)}"
        found = f"{mask.dtype} {tuple(mask.shape)}"
        raise ValueError(f"task {task.name!r}: want a mask of {wanted}, got {found}")
    if len(target) != len(rows):
        raise ValueError(f"task {task.name!r}: want {len(rows)} targets in a batch, got {len(target)}")
    known = mask.reshape(mask.shape + (1,) * (target.ndim - mask.ndim)).expand_as(target)
    what = f"task {task.name!r}: want "
    _refuse(known & ~target.isfinite(), rows, what + "finite targets where known", target)
    if task.classes is not None:
        outside = (target < 0) | (target >= task.classes)
        _refuse(known & outside, rows, what + f"labels in 0..{task.classes - 1}", target)
    weighted = known & (batch.weight > 0).reshape((-1,) + (1,) * (target.ndim - 1))
    return weighted.reshape(len(rows), -1).any(1)


def _refuse(bad: Tensor, rows: Tensor, wanted: str, values: Tensor) -> None:
    where = bad.nonzero()
    if len(where):
        place = tuple(where[0].tolist())
        row = int(rows[place[0]])
        raise ValueError(f"{wanted}, got {values[place].item()} in row {row}")
