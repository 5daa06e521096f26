"""A run of somebody's own model and tasks: a function that builds them, and a TOML file with the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, SerializeAsAny
from safetensors.torch import save
from torch import nn

from moola_losses.balancer import BalancerConfig
from moola_losses.registry import resolve_balancer
from moola_losses.uncertainty import UncertaintyConfig
from moola_train.checkpoint import replace_bytes
from moola_train.config import FitConfig
from moola_train.fit import FitResult, fit
from moola_train.protocols import Callback, Data, Selection
from moola_train.random_stream import RandomStream
from moola_train.recipes.going_on import going_on
from moola_train.recipes.provenance import git_state, hardware, package_versions, write_json
from moola_train.run_folder import RunFolder
from moola_train.sweep_worker import find_function
from moola_train.task import Task

CONFIG, RESULT, WEIGHTS = "own.json", "result.json", "model.safetensors"


class OwnConfig(BaseModel):
    """Everything a run of one's own depends on.

    >>> OwnConfig(build="my_project:build").fit.epochs == FitConfig().epochs
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    recipe: Literal["own"] = "own"
    build: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    """``module:function``, importable from where the command runs. Called with `arguments`; it returns
    ``(model, data, tasks)``, or ``(model, data, tasks, select)``: the arguments of `moola_train.fit`."""
    arguments: dict[str, JsonValue] = {}
    """Of the function, by name."""
    balancer: Annotated[SerializeAsAny[BalancerConfig], BeforeValidator(resolve_balancer)] = (
        UncertaintyConfig(init="auto")
    )
    fit: FitConfig = FitConfig()


class OwnParts(NamedTuple):
    """What the function has built."""

    model: nn.Module
    data: Data
    tasks: tuple[Task, ...]
    select: Selection | None


def built(config: OwnConfig) -> OwnParts:
    """Calls the user's function, with random numbers that depend on the run's seed alone.

    Raises:
        ValueError: There is no such function, or it returns something else.
    """
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not look where it is called from
        sys.path.insert(0, here)
    function = cast("Callable[..., object]", find_function(config.build))
    with RandomStream((config.fit.seed, 1), device=torch.device("cpu")).active():
        made = function(**config.arguments)
    if not (isinstance(made, Sequence) and len(made) in (3, 4) and isinstance(made[0], nn.Module)):
        raise ValueError(
            f"build: want {config.build} to return (model, data, tasks) or (model, data, tasks, select), "
            f"got {type(made).__name__}"
        )
    model, data, tasks, *select = made
    if strange := [type(task).__name__ for task in tasks if not isinstance(task, Task)]:
        raise ValueError(f"build: want tasks of type Task from {config.build}, got {strange[0]}")
    return OwnParts(model, data, tuple(tasks), select[0] if select else None)


def run_own(
    config: OwnConfig, *, folder: Callable[[], Path], callbacks: Sequence[Callback] = ()
) -> tuple[Path, FitResult]:
    """Builds, trains, and leaves weights and records in a folder.

    Args:
        config: The run.
        folder: Makes the run's folder; called when everything has been built.
        callbacks: Of the loop.

    Returns:
        The folder, with ``own.json``, ``metadata.json``, ``records.jsonl``, checkpoints, ``result.json`` and
        ``model.safetensors``, the best epoch's weights by the model's own names; and how training ended.

    Raises:
        ValueError: Something does not fit; nothing has been written then.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; `resume_own` goes on from there.
    """
    parts = built(config)
    with RunFolder.create(folder()) as run, going_on(run.path):
        write_json(run.path / CONFIG, config.model_dump(mode="json"))
        write_json(
            run.path / "metadata.json",
            {"versions": package_versions(), "hardware": hardware(), "git": git_state()},
        )
        return run.path, _train(run, parts, config, callbacks, resume=False)


def is_own_run(folder: Path) -> bool:
    """Tells whether a folder is that of a run of one's own."""
    return (folder / CONFIG).is_file()


def resume_own(folder: Path, *, callbacks: Sequence[Callback] = ()) -> tuple[Path, FitResult]:
    """Goes on with a run that was interrupted, bit for bit as if it had not been.

    Raises:
        FileNotFoundError: There is no checkpoint yet.
        ValueError: The run is finished, or the function builds something else now.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; call it again.
    """
    if (folder / RESULT).is_file():
        raise ValueError(f"run: want an interrupted run, got {folder}, which is finished")
    config = OwnConfig.model_validate_json((folder / CONFIG).read_bytes())
    parts = built(config)
    with RunFolder.open(folder) as run, going_on(run.path):
        return run.path, _train(run, parts, config, callbacks, resume=True)


def _train(
    run: RunFolder, parts: OwnParts, config: OwnConfig, callbacks: Sequence[Callback], *, resume: bool
) -> FitResult:
    balancer = config.balancer.build(tuple(task.name for task in parts.tasks))
    fitted = fit(
        parts.model,
        parts.data,
        parts.tasks,
        balancer,
        config.fit,
        folder=run,
        callbacks=callbacks,
        select=parts.select,
        resume=resume,
    )
    state = {name: value.detach().cpu().contiguous() for name, value in parts.model.state_dict().items()}
    replace_bytes(run.path / WEIGHTS, save(state))
    write_json(run.path / RESULT, told(fitted))
    return fitted


def told(fitted: FitResult) -> Mapping[str, Any]:
    """The outcome as JSON can tell it: epochs, the best one, and every number of its end by name."""
    last = max((record.epoch for record in fitted.records), default=0)
    name = partial("/".join)
    return {
        "epochs": fitted.epochs,
        "stopped": fitted.stopped,
        "best_epoch": fitted.best_epoch,
        "best_value": fitted.best_value,
        "last": {
            name(word for word in (r.split, r.task, r.name) if word): r.value
            for r in fitted.records
            if r.epoch == last and r.split == "inner"
        },
    }
