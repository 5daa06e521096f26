"""How to train: every number of the loop, checked when it is written down."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from moola_train.precision import Precision
from moola_train.sampling import Sampling, Shuffle
from moola_train.schedules import Constant, Schedule

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class ParameterGroup(BaseModel):
    """Model parameters whose names match a pattern, with their own settings.

    A parameter belongs to the first group that matches it; a pattern that matches none is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    """Shell-style pattern over parameter names, such as ``encoder.*``."""
    learning_rate: Positive | None = None
    """None takes the run's."""
    weight_decay: NotNegative | None = None
    """None takes the run's. Biases and other parameters of rank 1 or less never decay."""
    clip_norm: Positive | None = None
    """Largest L2 norm of this group's gradients together. None clips them with all the rest, by the run's."""


class Averaging(BaseModel):
    """Evaluate and keep a running mean of the weights; see `moola_train.weight_average`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decay: Annotated[float, Field(gt=0, le=1)] = 0.99
    from_epoch: Count = 1
    """First epoch whose steps are averaged."""


class FitConfig(BaseModel):
    """Settings of `moola_train.fit`.

    >>> FitConfig(epochs=3).batch_size
    32
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Count = 100
    batch_size: Count = 32
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the batch order and of training's own random stream (dropout)."""

    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    betas: tuple[
        Annotated[float, Field(ge=0, lt=1)],
        Annotated[float, Field(ge=0, lt=1)],
    ] = (0.9, 0.999)
    balancer_learning_rate: Positive | None = None
    """Of the balancer's own parameters, which never decay. None takes the rate that the balancer's
    ``param_groups()`` names, and 1e-3 where it names none."""
    groups: tuple[ParameterGroup, ...] = ()
    schedule: Schedule = Constant()
    clip_norm: Positive | None = None
    """Largest L2 norm of all gradients together, the balancer's included; None leaves them alone. Groups with
    a clip_norm of their own are clipped by that, and the rest together by this one."""
    shared: tuple[str, ...] = ()
    """Shell-style patterns over the names of the parameters that all tasks share, for balancers that look at
    gradients. None are needed where the model has parameters under ``encoder`` or a method ``encode``."""
    space: Literal["auto", "parameters", "representation"] = "auto"
    """Where a balancer compares gradients: at the shared parameters, or at what ``model.encode`` returns,
    which costs one walk through the encoder instead of one a task. ``auto`` asks the balancer's ``space``."""
    sampling: Sampling = Shuffle()
    """Which examples an epoch goes through; see `moola_train.sampling`."""

    micro_batch_size: Count | None = None
    """Largest number of examples that go through the model at once; a larger batch is gone through twice in
    pieces, with the gradient of the whole. None takes every batch in one piece."""
    out_of_memory: Literal["halve", "stop"] = "halve"
    """What a GPU that runs out of memory does: halve the pieces that a batch goes through the model in, say
    so and repeat the step; or end the run."""
    averaging: Averaging | None = None
    """None evaluates and keeps the weights themselves."""

    evaluation_batch_size: Count = 256
    selection: str = "loss"
    """Number that chooses the best epoch: ``loss`` is the plain sum of the task losses on the inner part;
    any other name is looked up in what `select` returns."""
    mode: Literal["min", "max"] = "min"
    patience: Count | None = None
    """Stop after this many epochs without a better selection value; None never stops early."""
    min_delta: NotNegative = 0.0
    """By how much a value has to be better to count."""
    restore: Literal["best", "last"] = "best"
    """Which weights the model holds when `fit` returns; without a selection value they are the last."""

    checkpoint_every: Count = 1
    """Epochs between checkpoints; a new best and the last epoch are always saved."""
    keep_every: Count | None = 10
    """Checkpoints of these epochs stay; of the others only the best and the latest do."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: Count | None = 1
    """Threads of torch inside the run; None leaves the process's setting. A small recurrent model is fastest
    with one, and several seeds are best run as several processes."""
    keep_heap: bool = True
    """On the CPU, keep freed memory in the process; see `moola_train.heap.keep_heap`. It is the process's
    setting and stays after the run."""
    precision: Precision = "fp32"
    """``tf32`` is for CUDA. ``bf16`` and ``fp16`` run the model's forward in 16 bits; the losses get
    float32, and fp16 scales the losses so that small gradients survive."""
    deterministic: bool = False
    """Refuse operations whose result depends on the order in which a GPU happens to add."""
    graph: Literal["off", "auto"] = "auto"
    """``auto`` records a step as a CUDA graph where it can and says so where it cannot; other devices have
    none. The last batch of an epoch is then filled up with examples of weight 0."""
    residency: Literal["auto", "device", "host"] = "auto"
    """Where data that can move lies: on the device, or in the host's memory, from where batches are fetched
    ahead. ``auto`` takes the device if the data fits into a quarter of its free memory."""
    non_finite: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is not finite does: end the run with an error, or leave out that step,
    counted in the records as ``skipped_steps``."""
    non_finite_check: Literal["auto", "step", "epoch"] = "auto"
    """When that is found out: at each step, or at the end of the epoch, with all steps from the bad one on
    undone, so that a GPU never has to wait. ``auto`` takes ``epoch`` for CUDA unless steps are skipped."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.non_finite == "skip" and self.non_finite_check == "epoch":
            raise ValueError("non_finite_check: want 'step' or 'auto' with non_finite='skip', got 'epoch'")
        return self
