"""A search by Optuna over the workers of a sweep. Wants the extra ``optuna``.

Trials are asked for here and run by one-thread processes, each apart from the others. What was asked and told
stands in Optuna's journal, what came out in the sweep's rows: a search that was killed goes on from both.
"""

from __future__ import annotations

import json
import math
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from moola_train.checkpoint import replace_text
from moola_train.extras import extra_module
from moola_train.folder_lock import FolderLock
from moola_train.schema import SweepRow
from moola_train.sweep import MANIFEST, Crew, Parameters, begin_sweep, job_key, keyed_jobs, read_sweep

JOURNAL = "optuna.journal"


class Optimum(NamedTuple):
    """What a search has found."""

    parameters: dict[str, JsonValue]
    """Of the best trial, the fixed ones included."""
    value: float
    rows: tuple[SweepRow, ...]
    """Of every trial, in the order in which they were asked for; equal parameters share one."""


def optimise(
    function: str,
    space: Mapping[str, object],
    folder: Path | str,
    *,
    metric: str,
    trials: int,
    workers: int = 1,
    direction: Literal["minimize", "maximize"] = "minimize",
    fixed: Parameters | None = None,
    seed: int = 0,
) -> Optimum:
    """Searches for the parameters with the best number.

    Call it again with the same folder to go on after a kill, or with more trials. The sampler learns from all
    trials told so far; its own random numbers begin anew, so a resumed search need not ask what an
    uninterrupted one would have asked. Trials that fail, or whose number is undefined, count as failed; one
    that a kill left without its parameters is told as failed too, and another is asked in its place.

    Args:
        function: ``module:function`` as in `moola_train.sweep.sweep`; returns numbers by name.
        space: By parameter a distribution, such as ``optuna.distributions.FloatDistribution(1e-4, 1e-2,
            log=True)``.
        folder: As in `moola_train.sweep.sweep`, with Optuna's journal beside.
        metric: The number to be judged by, among those that the function returns.
        trials: How many in all, those of earlier calls included.
        workers: Processes at a time, one thread each.
        direction: Whether less or more is better.
        fixed: Further parameters, the same in every trial; JSON can tell them.
        seed: Of the sampler.

    Returns:
        The best trial, and all rows.

    Raises:
        ValueError: No trial succeeded, the folder belongs to something else, or the extra is not installed.
        BlockingIOError: Another process works in the folder.
    """
    for name, count in (("trials", trials), ("workers", workers)):
        if count < 1:
            raise ValueError(f"{name}: want 1 or more, got {count}")
    if both := sorted(set(space) & set(fixed or {})):
        raise ValueError(f"fixed: want other names than those of the space, got {both[0]!r}")
    optuna = extra_module("optuna", extra="optuna")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(path)
    try:
        earlier = begin_sweep(path, function, {})
        journal = extra_module("optuna.storages.journal", extra="optuna")
        storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path / JOURNAL)))
        study = optuna.create_study(
            study_name=function, storage=storage, direction=direction, load_if_exists=True
        )
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        search = _Search(study, function, path, dict(space), dict(fixed or {}), metric, trials, earlier)
        search.work(workers)
        if not any(trial.state.name == "COMPLETE" for trial in study.trials):
            raise ValueError(f"{function}: want a trial with a finite {metric!r}, got {trials} without")
        parameters = {**study.best_trial.params, **(fixed or {})}
        rows = {row.key: row for row in read_sweep(path)}
        asked = tuple(rows[search.key(trial)] for trial in study.trials if search.asked_whole(trial))
        return Optimum(parameters, float(study.best_value), asked)
    finally:
        lock.release()


class _Search:
    """Stands between Optuna and a sweep's workers: jobs are asked for when a worker is free."""

    def __init__(
        self,
        study: Any,
        function: str,
        path: Path,
        space: dict[str, object],
        fixed: dict[str, JsonValue],
        metric: str,
        trials: int,
        earlier: Mapping[str, SweepRow],
    ) -> None:
        self.study, self.function, self.path = study, function, path
        self.space, self.fixed, self.metric, self.trials = space, fixed, metric, trials
        self.turn = threading.RLock()
        self.keyed: dict[str, Parameters] = {}
        self.done = {key: row for key, row in earlier.items() if row.status == "done"}
        self.attempts = {key: row.attempt for key, row in earlier.items()}
        self.asked: dict[str, list[Any]] = {}
        """Trials that wait for a row, by its key."""
        unfinished = [t for t in study.trials if t.state.name in ("RUNNING", "WAITING")]
        self.unfinished = [t for t in unfinished if self.asked_whole(t)]
        for trial in unfinished:
            if not self.asked_whole(trial):  # the kill fell between two lines of the journal
                self._fail(trial)

    def key(self, trial: Any) -> str:
        """Names a trial's job."""
        return job_key({**trial.params, **self.fixed})

    def asked_whole(self, trial: Any) -> bool:
        """Tells whether every parameter of the trial is in the journal."""
        return set(self.space) <= set(trial.params)

    def work(self, workers: int) -> None:
        """Asks, runs and tells until there are enough trials."""
        jobs: Any = self
        Crew(self.function, self.path, self.keyed, jobs, self.done, self.announce).work(workers, 1)

    def get_nowait(self) -> tuple[str, int]:
        """Gives a free worker its job, as a queue would."""
        with self.turn:
            while True:
                trial = self._next()
                key = self.key(trial)
                if key in self.done:
                    self._tell(trial, self.done[key])
                    continue
                self.asked.setdefault(key, []).append(trial)
                if len(self.asked[key]) > 1:
                    continue  # a worker is at it
                self._list(key, {**trial.params, **self.fixed})
                return key, self.attempts.get(key, 0) + 1

    def announce(self, row: SweepRow, done: int, all_: int) -> None:
        """Tells Optuna what became of the job."""
        with self.turn:
            self.attempts[row.key] = row.attempt
            if row.status == "failed":
                del self.done[row.key]
            for trial in self.asked.pop(row.key, []):
                self._tell(trial, row)

    def _next(self) -> Any:
        if self.unfinished:  # a killed search had asked for it
            return self.unfinished.pop(0)
        if sum(self.asked_whole(trial) for trial in self.study.trials) >= self.trials:
            raise queue.Empty
        return self.study.ask(fixed_distributions=self.space)

    def _list(self, key: str, parameters: Parameters) -> None:
        self.keyed.update(keyed_jobs([parameters]))
        manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        manifest["jobs"][key] = dict(parameters)
        replace_text(self.path / MANIFEST, json.dumps(manifest, indent=1))

    def _tell(self, trial: Any, row: SweepRow) -> None:
        value = None if row.result is None else row.result.get(self.metric)
        if isinstance(value, int | float) and math.isfinite(value):
            self.study.tell(trial.number, float(value))
        else:
            self._fail(trial)

    def _fail(self, trial: Any) -> None:
        states = extra_module("optuna.trial", extra="optuna").TrialState
        self.study.tell(trial.number, state=states.FAIL)
