"""One optimiser step: forward, one loss per task, the balancer, backward, the guard, AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor

from moola_train.batches import Batch
from moola_train.protocols import Callback, Row, StepState
from moola_train.task_losses import quotient
from moola_train.training import Training


def train_step(training: Training, batch: Batch, rows: Tensor, callbacks: Sequence[Callback]) -> None:
    """Takes one step and adds its numbers to the epoch's sums.

    The graph is cut at the losses: the balancer works on leaves, whose gradients are the coefficients that
    the backward pass through the model starts from. Same arithmetic as one backward, and the coefficients
    of any balancer are known without asking it.

    Args:
        training: The run's state; changed in place.
        batch: On the run's device.
        rows: int64 (B,), row numbers of the batch in the data set, for error messages.
        callbacks: Called with the gradients present.

    Raises:
        FloatingPointError: A loss or gradient is not finite; parameters are as they were before the step.
    """
    training.optimizer.zero_grad(set_to_none=True)
    sums, weights = training.losses.sums(batch)
    losses = quotient(sums, weights)
    leaves = losses.detach().requires_grad_()
    named = dict(zip(training.losses.names, leaves.unbind(), strict=True))
    total = training.balancer(named)
    if not isinstance(total, Tensor) or total.ndim:
        raise ValueError(f"balancer: want a scalar tensor, got {type(total).__name__} {total!r}")
    total.backward()
    if leaves.grad is None:
        raise ValueError("balancer: want a total that depends on the losses, got one that does not")
    losses.backward(leaves.grad)

    gradients = [p.grad for p in training.parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    training.pending.extend((training.step + 1, row) for row in _observe(training, callbacks, named))
    if training.config.clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(training.parameters, training.config.clip_norm, norm)
    numbers = torch.cat([sums.detach(), leaves.grad, torch.stack([total.detach(), norm])])
    if not bool(numbers.isfinite().all()):
        raise FloatingPointError(_explain(training, batch, rows, losses.detach(), leaves.grad))
    training.optimizer.step()
    training.sums.add(sums.detach(), weights, leaves.grad, total.detach(), norm)


def _observe(training: Training, callbacks: Sequence[Callback], named: dict[str, Tensor]) -> Iterable[Row]:
    if not callbacks:
        return ()
    state = StepState(
        training.model,
        training.balancer,
        training.optimizer,
        epoch=training.epoch + 1,
        step=training.step + 1,
        batch=training.batch + 1,
        losses={name: leaf.detach() for name, leaf in named.items()},
    )
    return list(chain.from_iterable(callback.on_backward(state) for callback in callbacks))


def _explain(training: Training, batch: Batch, rows: Tensor, losses: Tensor, coefficients: Tensor) -> str:
    """Names the culprit: a task's loss, the balancer, or the task whose gradient alone is not finite."""
    names = training.losses.names
    values = dict(zip(names, losses.tolist(), strict=True))
    bad = [name for name, finite in zip(names, losses.isfinite().tolist(), strict=True) if not finite]
    if bad:
        what = ", ".join(f"loss of task {name!r} is {values[name]}" for name in bad)
    elif not bool(coefficients.isfinite().all()):
        what = f"the balancer's coefficients are {dict(zip(names, coefficients.tolist(), strict=True))}"
    else:
        guilty = ", ".join(repr(name) for name in _tasks_with_bad_gradients(training, batch))
        what = f"losses are finite ({values}) but gradients are not; task: {guilty or 'none on a second try'}"
    shown = rows.tolist()
    listed = f"{shown}" if len(shown) <= 64 else f"{shown[:64]} and {len(shown) - 64} more"
    return (
        f"step {training.step + 1} (epoch {training.epoch + 1}, batch {training.batch + 1}): want finite"
        f" numbers, got: {what}; rows {listed}"
    )


def _tasks_with_bad_gradients(training: Training, batch: Batch) -> list[str]:
    parameters = [p for p in training.model.parameters() if p.requires_grad]
    guilty = []
    # Each sum by itself: in one stack, 0 times the infinite slope of one task would taint the others.
    for name, (total, _) in zip(training.losses.names, training.losses.pairs(batch), strict=True):
        gradients = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
        if not all(bool(g.isfinite().all()) for g in gradients if g is not None):
            guilty.append(name)
    return guilty
