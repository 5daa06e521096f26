"""Says in words which number of a step was not finite, and whose fault that was. k tasks."""

from __future__ import annotations

import torch
from torch import Tensor

from moola_train.batches import Batch
from moola_train.finite_guard import Numbers
from moola_train.training import Training


def explain(training: Training, numbers: Numbers, content: Batch, rows: Tensor, *, batch: int) -> str:
    """Says what was not finite: a task's loss, the balancer, or the task whose gradient alone is not.

    Args:
        training: The run, with the parameters from before the bad step.
        numbers: The bad step's.
        content: Its batch, whole.
        rows: int64 (B,), row numbers of the batch in the data set.
        batch: Batch within the epoch, counted from 1.
    """
    names = training.losses.names
    values = dict(zip(names, numbers.losses.tolist(), strict=True))
    bad = [n for n, finite in zip(names, numbers.losses.isfinite().tolist(), strict=True) if not finite]
    if bad:
        what = ", ".join(f"loss of task {name!r} is {values[name]}" for name in bad)
    elif not bool(numbers.coefficients.isfinite().all()):
        found = dict(zip(names, numbers.coefficients.tolist(), strict=True))
        what = f"the balancer's coefficients are {found}"
    else:
        guilty = ", ".join(repr(name) for name in _tasks_with_bad_gradients(training, content))
        what = f"losses are finite ({values}) but gradients are not; task: {guilty or 'none on a second try'}"
    shown = rows.tolist()
    listed = f"{shown}" if len(shown) <= 64 else f"{shown[:64]} and {len(shown) - 64} more"
    step = training.step - training.batch + batch
    where = f"step {step} (epoch {training.epoch + 1}, batch {batch})"
    return f"{where}: want finite numbers, got: {what}; rows {listed}"


def _tasks_with_bad_gradients(training: Training, content: Batch) -> list[str]:
    parameters = [p for p in training.model.parameters() if p.requires_grad]
    guilty = set()
    for piece in training.pieces(content):
        # Each sum by itself: in one stack, 0 times the infinite slope of one task would taint the others.
        for name, (total, _) in zip(training.losses.names, training.losses.pairs(piece), strict=True):
            if total.requires_grad:
                found = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
                if not all(bool(g.isfinite().all()) for g in found if g is not None):
                    guilty.add(name)
    return sorted(guilty)
