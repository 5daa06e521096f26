"""Freezing an encoder, and thawing it layer by layer, each layer with its own learning rate.

What trains is said in plain data: a mapping from globs of parameter names to learning-rate scales. So any
loop can use it; `param_groups` and `set_training` are the two lines that a plain torch loop needs:

    schedule = Thawing(stages=(Stage(epoch=0, layers=0), Stage(epoch=10, layers=1, lr_scale=0.1)))
    optimizer = torch.optim.AdamW(param_groups(model, lr=1e-3))
    for epoch in range(30):
        set_training(model, schedule.scales(model, epoch=epoch), optimizer=optimizer, lr=1e-3)
        ...

A glob that matches no parameter is refused: a schedule with a misspelt name would otherwise thaw nothing and
nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from moola_models.jade import Jade


class Stage(BaseModel):
    """What trains from an epoch on, besides the heads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int = Field(ge=0)
    """First epoch of the stage, counted from 0."""
    layers: int | None = Field(ge=0)
    """Encoder layers that train, counted from the one next to the heads; None: all."""
    lr_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Learning rate of the top layer, as a multiple of the heads'."""
    decay: float = Field(default=1.0, gt=0, le=1)
    """Factor from each layer to the one below it (Howard & Ruder 2018 take 1 / 2.6)."""


class Thawing(BaseModel):
    """A schedule: at every epoch the last stage that has begun holds; the heads always train.

    >>> Thawing(stages=(Stage(epoch=0, layers=0), Stage(epoch=5, layers=None))).at(7).layers is None
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _stages_ascend(self) -> Self:
        epochs = [stage.epoch for stage in self.stages]
        if epochs[0] != 0 or epochs != sorted(set(epochs)):
            raise ValueError(f"stages: want ascending epochs from 0, got {epochs}")
        return self

    def at(self, epoch: int) -> Stage:
        """The stage that holds at an epoch.

        Raises:
            ValueError: If the epoch is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch: want 0 or more, got {epoch}")
        return [stage for stage in self.stages if stage.epoch <= epoch][-1]

    def scales(self, model: Jade, *, epoch: int) -> dict[str, float]:
        """Says what trains at an epoch.

        Returns:
            Learning-rate scale by glob of parameter names; what no glob matches is frozen.

        Raises:
            ValueError: If a stage wants more layers than the encoder has.
        """
        stage = self.at(epoch)
        layers = layer_patterns(model)
        wanted = len(layers) if stage.layers is None else stage.layers
        if wanted > len(layers):
            raise ValueError(
                f"layers: want at most {len(layers)}, got {wanted} in the stage of {stage.epoch}"
            )
        scales = dict.fromkeys(head_patterns(model), 1.0)
        for depth, globs in enumerate(layers[::-1][:wanted]):
            scales |= dict.fromkeys(globs, stage.lr_scale * stage.decay**depth)
        return scales


def layer_patterns(model: Jade) -> tuple[tuple[str, ...], ...]:
    """Globs of the names of each encoder layer's parameters, the layer next to the features first."""
    return model.config.encoder.layer_patterns(model.config.layers)


def head_patterns(model: Jade) -> tuple[str, ...]:
    """Globs of the names of all parameters after the encoder."""
    return ("readouts.*",) if model.projection is None else ("projection.*", "readouts.*")


def freeze_encoder(model: Jade) -> tuple[str, ...]:
    """Stops the whole encoder from training; the heads train.

    Returns:
        Names of the frozen parameters.
    """
    set_training(model, dict.fromkeys(head_patterns(model), 1.0))
    return tuple(name for name, parameter in model.named_parameters() if not parameter.requires_grad)


def param_groups(model: Jade, *, lr: float) -> list[dict[str, object]]:
    """Groups all parameters by layer, the heads last, for one optimiser that lasts the whole run.

    An optimiser of its own for every stage would forget its moments at every thaw.

    Args:
        model: Whose parameters.
        lr: Learning rate of every group, until `set_training` sets it.

    Returns:
        For each layer its ``params``, ``lr`` and, as ``name``, the globs.
    """
    globs = [*layer_patterns(model), head_patterns(model)]
    return [{"params": _matching(model, g), "lr": lr, "name": " ".join(g)} for g in globs]


def set_training(
    model: nn.Module,
    scales: Mapping[str, float],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    lr: float | None = None,
) -> None:
    """Lets exactly the matched parameters train, and sets the learning rates of an optimiser's groups.

    Frozen parameters lose their gradient as well: an optimiser would otherwise go on moving them, by weight
    decay and by what its moments remember.

    Args:
        model: Any module.
        scales: Learning-rate scale by glob of parameter names. Where two globs match, the later one holds.
        optimizer: One whose groups each hold parameters of one scale, such as `param_groups` makes.
        lr: Learning rate of scale 1; wanted with an optimiser.

    Raises:
        ValueError: If a glob matches no parameter, an optimiser comes without `lr`, or one of its groups
            would need two rates.
    """
    if (optimizer is None) != (lr is None):
        raise ValueError(f"optimizer, lr: want both or none, got lr {lr} with optimizer {optimizer}")
    scale_of: dict[int, float] = {}
    for glob, scale in scales.items():
        for parameter in _matching(model, (glob,)):
            scale_of[id(parameter)] = scale
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in scale_of)
        if not parameter.requires_grad:
            parameter.grad = None
    if optimizer is None or lr is None:
        return
    for index, group in enumerate(optimizer.param_groups):
        found = {scale_of.get(id(parameter)) for parameter in group["params"]}
        if len(found) > 1:
            raise ValueError(f"optimizer: want groups of one learning rate, got {found} in group {index}")
        group["lr"] = lr * (found.pop() or 0.0)


def _matching(model: nn.Module, globs: Iterable[str]) -> list[nn.Parameter]:
    chosen: list[nn.Parameter] = []
    named = dict(model.named_parameters())
    for glob in globs:
        found = [parameter for name, parameter in named.items() if fnmatchcase(name, glob)]
        if not found:
            raise ValueError(
                f"pattern: want one that matches a parameter, got {glob!r} among {sorted(named)}"
            )
        chosen += found
    return chosen
