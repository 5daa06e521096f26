"""One optimiser step: forward, one loss per task, the balancer, backward, the guard, AdamW. k tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor

from moola_train.batches import Batch
from moola_train.finite_guard import Numbers
from moola_train.plain_sum import PlainSum
from moola_train.protocols import Callback, Row, StepState
from moola_train.task_losses import above_zero
from moola_train.training import Training


def train_step(
    training: Training,
    pieces: Sequence[Batch],
    *,
    present: Sequence[bool],
    callbacks: Sequence[Callback] = (),
) -> Numbers | None:
    """Takes one step and adds its numbers to the epoch's sums.

    The graph is cut at the losses: the balancer works on leaves, whose gradients are the coefficients that
    the backward pass through the model starts from. Same arithmetic as one backward, and the coefficients of
    any balancer are known without asking it.

    A batch in several pieces gives the gradient of the whole: a first pass without gradients adds up sums and
    weights, from which the balancer makes the coefficients; a second pass, with the same random numbers, goes
    backward piece by piece. That costs a second forward and is exact for every balancer.

    Args:
        training: The run's state; changed in place.
        pieces: The batch, on the run's device, in one piece or several.
        present: Per task, whether any target of the batch is known. Absent tasks are not shown to the
            balancer; where none is present there is nothing to learn from, and no step is taken.
        callbacks: Called with the gradients present.

    Returns:
        None, or the numbers of a step that was not taken because they are not finite. With a guard that is
        read once an epoch, the guard tells at its end instead.
    """
    for parameter in training.parameters:
        parameter.grad = None
    if not any(present):
        return None
    live, sums, weights = _forward(training, pieces)
    divisor = above_zero(weights)
    losses = sums / divisor
    if training.guard is None and not _all_finite(losses):
        return Numbers(losses, torch.zeros_like(losses), losses.new_zeros(()))
    total, slopes = _balance(training, losses, present)
    start = slopes / divisor
    for piece in pieces:
        part = training.losses.sums(piece)[0] if live is None else live
        part.backward(start)

    scale = training.loss_scale
    gradients = [p.grad for p in training.parameters if p.grad is not None]
    coefficients = slopes
    if scale is not None:
        coefficients = slopes / scale.value
        torch._foreach_mul_(gradients, 1 / scale.value)
    training.pending.extend((training.step + 1, row) for row in _observe(training, callbacks, losses))
    # What torch.nn.utils.get_total_norm does, less its sorting by device: there is one.
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if training.config.clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(training.parameters, training.config.clip_norm, norm)
    if scale is not None:
        # Overflow of a half-precision gradient is no fault of the run: the step is masked, the scale halved.
        overflow = scale.update(norm)
        norm = torch.where(overflow, 0, norm)
    numbers = Numbers(losses, coefficients, norm)
    row = training.sums.row(sums, weights, coefficients, total, norm)
    if training.guard is not None:
        training.guard.watch(numbers)
    elif not _all_finite(row):
        return numbers
    _take_step(training)
    training.sums.add(row)
    return None


def _all_finite(numbers: Tensor) -> bool:
    # For a handful of numbers on the CPU a list is several times faster than torch.isfinite.
    return all(map(math.isfinite, numbers.tolist()))


def _forward(training: Training, pieces: Sequence[Batch]) -> tuple[Tensor | None, Tensor, Tensor]:
    """Returns the sums with their graph (None for several pieces), the same without, and the weights."""
    if len(pieces) == 1:
        live, weights = training.losses.sums(pieces[0])
        return live, live.detach(), weights.detach()
    before = training.stream.state()
    with torch.no_grad():
        parts = [training.losses.sums(piece) for piece in pieces]
    training.stream.load(before)
    return None, torch.stack([s for s, _ in parts]).sum(0), torch.stack([w for _, w in parts]).sum(0)


def _balance(training: Training, losses: Tensor, present: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """Returns the total and its slope by each loss, times the loss scale; gradients of the balancer stay."""
    scale = training.loss_scale
    if isinstance(training.balancer, PlainSum):
        # An absent task's loss is 0 here, and so is its gradient, whatever the coefficient.
        ones = torch.ones_like(losses)
        return losses.sum(), ones if scale is None else ones * scale.value
    leaves = losses.detach().requires_grad_()
    named = {
        name: leaf
        for name, leaf, known in zip(training.losses.names, leaves.unbind(), present, strict=True)
        if known
    }
    total = training.balancer(named)
    if not isinstance(total, Tensor) or total.ndim:
        raise ValueError(f"balancer: want a scalar tensor, got {type(total).__name__} {total!r}")
    (total if scale is None else total * scale.value).backward()
    if leaves.grad is None:
        raise ValueError("balancer: want a total that depends on the losses, got one that does not")
    return total.detach(), leaves.grad


def _take_step(training: Training) -> None:
    masks = [] if training.guard is None else [training.guard.mask]
    masks += [] if training.loss_scale is None else [training.loss_scale.overflow]
    if masks:
        # The fused step leaves parameters and moments alone where this is 1; see torch.amp.GradScaler.
        training.optimizer.found_inf = torch.stack(masks).amax()  # type: ignore[attr-defined]
    training.optimizer.step()
    training.average_weights()


def _observe(training: Training, callbacks: Sequence[Callback], losses: Tensor) -> Iterable[Row]:
    if not callbacks:
        return ()
    state = StepState(
        training.model,
        training.balancer,
        training.optimizer,
        epoch=training.epoch + 1,
        step=training.step + 1,
        batch=training.batch + 1,
        losses=dict(zip(training.losses.names, losses.unbind(), strict=True)),
    )
    return list(chain.from_iterable(callback.on_backward(state) for callback in callbacks))


def explain(
    training: Training, numbers: Numbers, pieces: Sequence[Batch], rows: Tensor, *, batch: int
) -> str:
    """Says what was not finite: a task's loss, the balancer, or the task whose gradient alone is not.

    Args:
        training: The run, with the parameters from before the bad step.
        numbers: The bad step's.
        pieces: Its batch.
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
        guilty = ", ".join(repr(name) for name in _tasks_with_bad_gradients(training, pieces))
        what = f"losses are finite ({values}) but gradients are not; task: {guilty or 'none on a second try'}"
    shown = rows.tolist()
    listed = f"{shown}" if len(shown) <= 64 else f"{shown[:64]} and {len(shown) - 64} more"
    step = training.step - training.batch + batch
    where = f"step {step} (epoch {training.epoch + 1}, batch {batch})"
    return f"{where}: want finite numbers, got: {what}; rows {listed}"


def _tasks_with_bad_gradients(training: Training, pieces: Sequence[Batch]) -> list[str]:
    parameters = [p for p in training.model.parameters() if p.requires_grad]
    guilty = set()
    for piece in pieces:
        # Each sum by itself: in one stack, 0 times the infinite slope of one task would taint the others.
        for name, (total, _) in zip(training.losses.names, training.losses.pairs(piece), strict=True):
            if total.requires_grad:
                found = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
                if not all(bool(g.isfinite().all()) for g in found if g is not None):
                    guilty.add(name)
    return sorted(guilty)
