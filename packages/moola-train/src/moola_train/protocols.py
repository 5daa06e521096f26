"""What the loop asks of the things it is given. Nothing has to inherit from these; shapes are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from moola_train.batches import Batch
from moola_train.schema import Record, Split

if TYPE_CHECKING:
    from torch.optim import Optimizer

Selection = Callable[[nn.Module, Split], Mapping[str, float]]
"""Measures a model on one part of the data, by any decoding: ``(model, split) -> {name: value}``.

A selection that can do with what the model returns, and needs no pass of its own over the inner part, has a
method ``observe(outputs, batch)`` too. It is called with every batch of the evaluation, in order, without
gradients; then the selection itself is called."""


@runtime_checkable
class Data(Protocol):
    """Examples that can be gathered by index.

    Optional attributes: ``split`` (n,) int8, 0 train, 1 inner (selection), 2 test, absent means all train;
    ``device``, where the index should lie (the CPU where absent); ``fingerprint``, a string that changes
    with the content, so that a run is never resumed on other data.
    """

    def __len__(self) -> int:
        """Number of examples n."""
        ...

    def batch(self, index: Tensor) -> Batch:
        """Returns the examples of `index`, int64 (B,), in that order."""
        ...


class Row(NamedTuple):
    """One number for the records. A tensor value is read once, at the end of the epoch.

    A value that is not finite is recorded as None.
    """

    task: str
    name: str
    value: float | Tensor
    split: Split = "train"


class StepState(NamedTuple):
    """What a callback sees inside a step."""

    model: nn.Module
    balancer: nn.Module
    optimizer: Optimizer
    epoch: int
    """Counted from 1."""
    step: int
    """Optimiser step about to be taken, counted from 1 over the whole run."""
    batch: int
    """Batch within the epoch, counted from 1."""
    losses: Mapping[str, Tensor]
    """Unweighted loss of each task on this batch, scalars; with their graph in `Callback.on_forward` only."""
    rank: int = 0
    """Of this process. All ranks call their callbacks alike; who writes a file does it on rank 0."""


class EpochState(NamedTuple):
    """What a callback sees when an epoch is done: the model in evaluation mode, gradients switched off."""

    model: nn.Module
    balancer: nn.Module
    epoch: int
    """The finished epoch, counted from 1."""
    epochs: int
    """How many were asked for."""
    step: int
    """Optimiser steps taken so far."""
    records: tuple[Record, ...]
    """Every record of this epoch so far, those of callbacks called earlier included."""
    rank: int = 0
    """Of this process; see `StepState`."""


class Callback:
    """Looks on and may add rows to the records. Subclass it, or give any object with these methods.

    Random numbers drawn at the end of an epoch do not disturb those of training. `watches` and `on_forward`
    may be missing: then every step is watched.
    """

    def watches(self, epoch: int, batch: int) -> bool:
        """Says whether to be called inside the step of this batch, both counted from 1.

        Steps that nobody watches can be replayed as a CUDA graph. Where neither method is written, none is.
        """
        own = type(self)
        return own.on_backward is not Callback.on_backward or own.on_forward is not Callback.on_forward

    def on_forward(self, state: StepState) -> Iterable[Row]:
        """Called with the losses and their graph, before the backward pass; leave ``.grad`` alone.

        Not called for a batch that goes through the model in pieces: it has no graph as a whole.
        """
        return ()

    def on_backward(self, state: StepState) -> Iterable[Row]:
        """Called with the gradients present, before clipping; return tensors rather than read them."""
        return ()

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Called once an epoch, before its records are written."""
        return ()


class Tracker(Protocol):
    """Sends a finished epoch's records somewhere else, all in one call."""

    def log(self, records: tuple[Record, ...]) -> None:
        """Takes the records of one epoch."""
        ...
