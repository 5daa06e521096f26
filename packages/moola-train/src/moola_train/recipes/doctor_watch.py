"""The doctor of moola-losses as a callback: looks at steps of a run and tells each fault once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from moola_data.schema import WindowSet
from moola_losses.doctor import Doctor
from moola_losses.doctor_report import DoctorReport
from moola_losses.protocol import BoundedLoss
from moola_train.balancing import shared_parameters
from moola_train.protocols import Callback, EpochState, Row, StepState
from moola_train.recipes.experiment import Experiment
from moola_train.recipes.run_config import RunConfig
from moola_train.sampling import Sampler
from moola_train.task import Task

NAME = "doctor.json"


class EnoughSteps(Exception):  # noqa: N818 - not a fault: the steps that were asked for have been seen
    """Ends a run of which only the first steps were wanted."""


class DoctorWatch(Callback):
    """Shows the losses of every `every`-th step to the doctor, and of the next, for what the update did.

    It changes no number of the run and adds no rows: after a resume it begins anew, which records must not.
    A batch that goes through the model in pieces is not seen.

    Args:
        tasks: Those of the run.
        shared: The parameters that all tasks use.
        every: Steps between two looks.
        window: How many looks a report covers, the last ones.
        steps_per_epoch: Batches an epoch.
        floors: By task the least loss that any output reaches; see `limits`.
        constants: By task the loss of the best constant output.
        folder: Where ``doctor.json`` is written at the end of every epoch with a look; None: nowhere.
        tell: Gets the words of every new fault; a warning where omitted.
        only: End the run by `EnoughSteps` after so many steps; None lets it go on.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        shared: Sequence[Tensor],
        *,
        every: int,
        steps_per_epoch: int,
        window: int = 20,
        floors: Mapping[str, float] | None = None,
        constants: Mapping[str, float] | None = None,
        folder: Path | None = None,
        tell: Callable[[str], None] | None = None,
        only: int | None = None,
    ) -> None:
        self.every, self.steps_per_epoch, self.folder, self.only = every, steps_per_epoch, folder, only
        self._shared = list(shared)
        self._tell = tell or _warn
        self._told: set[tuple[str, str, str | None]] = set()
        self._fresh = False
        self.doctor = Doctor(
            tuple(task.name for task in tasks),
            every=1 if every == 1 else 2,  # two calls a look: the second sees the update of the first
            window=window,
            losses={task.name: task.loss for task in tasks},
            floors=floors,
            constants=constants,
        )

    def watches(self, epoch: int, batch: int) -> bool:
        """The first step, every `every`-th from it, and each next one."""
        step = (epoch - 1) * self.steps_per_epoch + batch - 1
        return step % self.every in (0, 1) or (self.only is not None and step >= self.only)

    def on_forward(self, state: StepState) -> Iterable[Row]:
        """Looks at the step."""
        if self.only is not None and state.step > self.only:
            raise EnoughSteps
        ask = getattr(state.balancer, "coefficients", None)
        told: Mapping[str, float] = ask() if callable(ask) else {}
        known = {name: float(c) for name, c in told.items() if name in state.losses and math.isfinite(c)}
        if self.doctor.observe(state.losses, shared=self._shared, coefficients=known):
            self._fresh = True
        return ()

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Writes the report and tells what is new in it."""
        if not self._fresh:
            return ()
        self._fresh = False
        report = self.doctor.report()
        if self.folder is not None and not state.rank:
            report.save(self.folder / NAME)
        for verdict in report.verdicts:
            fault = (verdict.fault, verdict.task, verdict.other)
            if fault not in self._told and not state.rank:
                self._told.add(fault)
                self._tell(f"doctor, epoch {state.epoch}: {verdict.fault} of {verdict.task}: {verdict.words}")
        return ()

    def report(self) -> DoctorReport:
        """What was found so far."""
        return self.doctor.report()


def limits(windows: WindowSet, tasks: Sequence[Task]) -> tuple[dict[str, float], dict[str, float]]:
    """Computes least loss and loss of the best constant on the training windows, by task.

    A loss that does not know them, such as a structured head's, is left out.
    """
    rows = windows.split == 0
    weight = torch.from_numpy(windows.weight[rows])
    floors: dict[str, float] = {}
    constants: dict[str, float] = {}
    for task in tasks:
        if not isinstance(task.loss, BoundedLoss):
            continue
        target = torch.from_numpy(windows.targets[task.name][rows])
        mask = torch.from_numpy(windows.masks[task.name][rows])
        for found, measure in ((floors, task.loss.floor), (constants, task.loss.constant)):
            total, count = measure(target, mask, weight)
            if count > 0:
                found[task.name] = float(total / count)
    return floors, constants


def watch_of(
    made: Experiment,
    config: RunConfig,
    *,
    every: int,
    window: int = 20,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
    only: int | None = None,
) -> DoctorWatch:
    """Makes the doctor of an experiment, with the limits of its training windows; see `DoctorWatch`."""
    floors, constants = limits(made.windows, made.tasks)
    train = torch.from_numpy(np.flatnonzero(made.windows.split == 0))
    examples = len(Sampler(config.fit.sampling, made.data, train, seed=config.fit.seed))
    few = made.data.batch(train[:2].to(made.data.device)).inputs
    return DoctorWatch(
        made.tasks,
        shared_parameters(made.model.to(made.data.device), config.fit.shared, few),
        every=every,
        window=window,
        steps_per_epoch=math.ceil(examples / config.fit.batch_size),
        floors=floors,
        constants=constants,
        folder=folder,
        tell=tell,
        only=only,
    )


def _warn(words: str) -> None:
    warnings.warn(words, RuntimeWarning, stacklevel=2)
