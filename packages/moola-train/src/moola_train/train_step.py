"""One optimiser step: forward, one loss per task, the balancer, backward, the guard, AdamW. k tasks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from moola_train.balancing import coefficients_of
from moola_train.batches import Batch
from moola_train.clipping import clip
from moola_train.finite_guard import Numbers
from moola_train.protocols import Callback, Row, StepState
from moola_train.task_losses import above_zero
from moola_train.training import Training

Result = TypeVar("Result")


class Forward(NamedTuple):
    """What one pass over a batch gave."""

    live: list[Tensor]
    """This rank's weighted sum of each task with its graph; empty if the batch went through in pieces."""
    representation: Tensor | None
    """What the model's ``encode`` gave, where the balancer asks for it."""
    sums: Tensor
    """Without graph, (k,)."""
    weights: Tensor
    """(k,)."""


def train_step(
    training: Training,
    batch: Batch,
    *,
    present: Sequence[bool],
    callbacks: Sequence[Callback] = (),
    recording: bool = False,
) -> Numbers | None:
    """Takes one step and adds its numbers to the epoch's sums.

    The graph is cut at the losses: a weighting balancer works on leaves, whose gradients are the coefficients
    that the backward pass through the model starts from. Same arithmetic as one backward, and the
    coefficients of any balancer are known without asking it. A balancer that works on gradients gets the
    losses with their graph and goes backward itself.

    A batch in several pieces gives the gradient of the whole: a first pass without gradients adds up sums and
    weights, from which the balancer makes the coefficients; a second pass, with the same random numbers, goes
    backward piece by piece. That costs a second forward and is exact for every weighting balancer.

    Args:
        training: The run's state; changed in place.
        batch: This rank's part of the batch, on the run's device.
        present: Per task, whether any target of the whole batch is known. Absent tasks are not shown to the
            balancer; where none is present there is nothing to learn from, and no step is taken.
        callbacks: Those that watch this batch.
        recording: Whether a CUDA graph is being recorded, in which nothing can be tried twice.

    Returns:
        None, or the numbers of a step that was not taken because they are not finite. With a guard that is
        read once an epoch, the guard tells at its end instead.
    """
    for parameter in training.parameters:
        parameter.grad = None
    if not any(present):
        return None
    mark = None if recording else training.stream.mark()
    forward = _backing_off(training, mark, lambda: _forward(training, batch))
    sums, weights = forward.sums, forward.weights
    if training.ranks.size > 1:
        sums, weights = training.ranks.sum(torch.stack([sums, weights])).unbind()
    divisor = above_zero(weights)
    losses = sums / divisor
    if training.guard is None and not training.plain and not all(map(math.isfinite, losses.tolist())):
        return Numbers(losses, torch.zeros_like(losses), losses.new_zeros(()))
    if forward.live and (callbacks or training.needs.space):
        alive = _alive(training, forward.live, losses, divisor, present)
        _show(training, callbacks, alive)
    if training.needs.space is not None:
        total, coefficients = _balance_gradients(training, forward, alive, present)
        judged = coefficients.nan_to_num(0.0)
    else:
        total, slopes = _balance(training, losses, present)
        start = slopes / divisor
        graph, alive, forward = forward.live, {}, forward._replace(live=[])  # `graph` alone keeps it now
        _backing_off(training, mark, lambda: _backward(training, batch, graph, start))
        coefficients = slopes if training.loss_scale is None else slopes / training.loss_scale.value
        judged = coefficients
    training.ranks.sum_gradients(training.model_parameters, mean=training.needs.space is not None)

    scale = training.loss_scale
    gradients = [p.grad for p in training.parameters if p.grad is not None]
    if scale is not None:
        torch._foreach_mul_(gradients, 1 / scale.value)
    if callbacks:
        training.pending.extend((training.step + 1, row) for row in _observe(training, callbacks, losses))
    norm = clip(gradients, training.clips)
    if scale is not None:
        # Overflow of a half-precision gradient is no fault of the run: the step is masked, the scale halved.
        overflow = scale.update(norm)
        norm = torch.where(overflow, 0, norm)
    row = torch.cat([sums, weights, coefficients, losses, total.reshape(1), norm.reshape(1)])
    if training.guard is not None:
        training.guard.watch(Numbers(losses, judged, norm))
        training.sums.add(row)
    else:
        # For a handful of numbers on the CPU a list is several times faster than torch.isfinite.
        found, k = row.tolist(), len(losses)
        checked = found if judged is coefficients else found[: 2 * k] + found[3 * k :]
        if not all(map(math.isfinite, checked)):
            return Numbers(losses, judged, norm)
        training.sums.add_numbers(found)
    _take_step(training)
    if training.needs.after_step:
        _tell_losses_after(training, batch, present)
    return None


def _backing_off(training: Training, mark: tuple[Tensor, ...] | None, work: Callable[[], Result]) -> Result:
    """Does the work; if the device's memory does not suffice on any rank, again in smaller pieces on all."""
    if mark is None:
        return work()
    while True:
        result, failed = _unless_out_of_memory(work)
        if not training.ranks.any(failed is not None):
            assert result is not None
            return result[0]
        if training.config.out_of_memory == "stop" or training.needs.space is not None:
            raise failed or torch.OutOfMemoryError("another rank ran out of memory")
        # What ranks have in common decides, not what this one happened to get of a short batch.
        size = training.micro_batch_size or math.ceil(training.config.batch_size / training.ranks.size)
        if size == 1:
            raise failed or torch.OutOfMemoryError("another rank ran out of memory with one example")
        training.micro_batch_size = math.ceil(size / 2)
        warnings.warn(
            f"step {training.step + 1}: out of memory; from here on at most {training.micro_batch_size}"
            " examples go through the model at once, with the gradient of the whole batch",
            RuntimeWarning,
            stacklevel=2,
        )
        training.warn_of_pieces()
        training.stream.rewind(mark)
        for parameter in training.model_parameters:
            parameter.grad = None
        if training.device.type == "cuda":
            torch.cuda.empty_cache()


def _unless_out_of_memory(
    work: Callable[[], Result],
) -> tuple[tuple[Result] | None, torch.OutOfMemoryError | None]:
    try:
        return (work(),), None
    except torch.OutOfMemoryError as error:
        # Its frames hold the tensors that are to be freed.
        return None, error.with_traceback(None)


def _forward(training: Training, batch: Batch) -> Forward:
    pieces = training.pieces(batch)
    if len(pieces) == 1:
        cut = training.needs.space == "representation"
        representation, found = (
            training.losses.cut_pairs(batch) if cut else (None, training.losses.pairs(batch))
        )
        live, weights = [s for s, _ in found], [w for _, w in found]
        with torch.no_grad():
            both = torch.stack(live + weights)
        return Forward(live, representation, both[: len(live)], both[len(live) :])
    before = training.stream.state()
    with torch.no_grad():
        parts = [training.losses.sums(piece) for piece in pieces]
    training.stream.load(before)
    return Forward([], None, *(torch.stack(column).sum(0) for column in zip(*parts, strict=True)))


def _backward(training: Training, batch: Batch, graph: list[Tensor], start: Tensor) -> None:
    pieces = training.pieces(batch)
    if graph and len(pieces) == 1:
        # A task whose loss depends on no parameter has nothing to go back to, unless none has.
        pairs = [(s, slope) for s, slope in zip(graph, start.unbind(), strict=True) if s.requires_grad]
        graph.clear()
        torch.autograd.backward([s for s, _ in pairs], [slope.to(s.dtype) for s, slope in pairs])
        return
    graph.clear()
    for piece in pieces:
        training.losses.sums(piece)[0].backward(start)


def _alive(
    training: Training, live: Sequence[Tensor], losses: Tensor, divisor: Tensor, present: Sequence[bool]
) -> dict[str, Tensor]:
    """Returns the losses of the present tasks with their graph.

    Their values are those of the whole batch. Their gradients come from this rank's part of it, so scaled
    that the mean over the ranks is the gradient: what balancers expect that know data-parallel training.
    """
    shares = torch.stack(tuple(live)) / divisor
    if training.ranks.size > 1:
        shares = shares * training.ranks.size
        shares = shares + (losses - shares.detach())
    return _named(training, shares, present)


def _named(training: Training, values: Tensor, present: Sequence[bool]) -> dict[str, Tensor]:
    return {
        n: v for n, v, known in zip(training.losses.names, values.unbind(), present, strict=True) if known
    }


def _balance(training: Training, losses: Tensor, present: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """Returns the total and its slope by each loss, times the loss scale; gradients of the balancer stay."""
    scale = training.loss_scale
    if training.plain:
        # An absent task's loss is 0 here, and so is its gradient, whatever the coefficient.
        ones = training.ones.to(losses.dtype)
        return losses.sum(), ones if scale is None else ones * scale.value
    leaves = losses.detach().requires_grad_()
    total = training.balancer(_named(training, leaves, present))
    if not isinstance(total, Tensor) or total.ndim:
        raise ValueError(f"balancer: want a scalar tensor, got {type(total).__name__} {total!r}")
    if total.requires_grad:
        (total if scale is None else total * scale.value).backward()
    if leaves.grad is None:
        raise ValueError("balancer: want a total that depends on the losses, got one that does not")
    return total.detach(), leaves.grad


def _balance_gradients(
    training: Training, forward: Forward, alive: Mapping[str, Tensor], present: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    """Lets the balancer go backward; returns its total and its coefficients, NaN where it tells none."""
    balancer = training.balancer
    where = {"representation": forward.representation} if forward.representation is not None else {}
    shared = None if where else training.shared
    go_backward: Callable[..., Tensor] = getattr(balancer, "backward")  # noqa: B009
    total = go_backward(alive, shared=shared, scaler=training.loss_scale, **where)
    told = coefficients_of(balancer, training.losses.names, forward.sums)
    coefficients = torch.where(torch.tensor(present, device=told.device), told, 0)
    if not isinstance(total, Tensor) or total.ndim:
        raise ValueError(f"balancer: want a scalar tensor from backward, got {type(total).__name__}")
    return total.detach(), coefficients


def _take_step(training: Training) -> None:
    masks = [] if training.guard is None else [training.guard.mask]
    masks += [] if training.loss_scale is None else [training.loss_scale.overflow]
    if masks:
        # The fused step leaves parameters and moments alone where this is 1; see torch.amp.GradScaler.
        training.optimizer.found_inf = torch.stack(masks).amax()  # type: ignore[attr-defined]
    training.optimizer.step()


def _tell_losses_after(training: Training, batch: Batch, present: Sequence[bool]) -> None:
    with torch.no_grad():
        parts = [torch.stack(training.losses.sums(piece)) for piece in training.pieces(batch)]
        sums, weights = training.ranks.sum(torch.stack(parts).sum(0)).unbind()
    tell: Callable[[Mapping[str, Tensor]], None] = getattr(training.balancer, "after_step")  # noqa: B009
    tell(_named(training, sums / above_zero(weights), present))


def _state(training: Training, losses: Mapping[str, Tensor]) -> StepState:
    return StepState(
        training.model,
        training.balancer,
        training.optimizer,
        epoch=training.epoch + 1,
        step=training.step + 1,
        batch=training.batch + 1,
        losses=losses,
        rank=training.ranks.rank,
    )


def _show(training: Training, callbacks: Sequence[Callback], alive: Mapping[str, Tensor]) -> None:
    state = _state(training, alive)
    for callback in callbacks:
        look = getattr(callback, "on_forward", None)
        if look is not None:
            training.pending.extend((training.step + 1, row) for row in look(state))


def _observe(training: Training, callbacks: Sequence[Callback], losses: Tensor) -> Iterable[Row]:
    state = _state(training, dict(zip(training.losses.names, losses.unbind(), strict=True)))
    return list(chain.from_iterable(callback.on_backward(state) for callback in callbacks))
