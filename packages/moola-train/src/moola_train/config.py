"""How to train: every number of the loop, checked when it is written down."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    balancer_learning_rate: Positive = 1e-3
    """The balancer's own parameters never decay."""
    groups: tuple[ParameterGroup, ...] = ()
    clip_norm: Positive | None = None
    """Largest L2 norm of all gradients together, the balancer's included; None leaves them alone."""

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
    non_finite: Literal["stop"] = "stop"
    """What a loss or gradient that is not finite does."""
