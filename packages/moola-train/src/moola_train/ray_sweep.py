"""Many runs on many machines: the jobs of a sweep as Ray tasks. Wants the extra ``ray``.

Keys, rows and the folder are those of `moola_train.sweep`: either goes on where the other stopped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from moola_train.checkpoint import replace_text
from moola_train.extras import extra_module
from moola_train.folder_lock import FolderLock
from moola_train.schema import SweepRow
from moola_train.sweep import Parameters, begin_sweep, keyed_jobs
from moola_train.sweep_worker import find_function, work

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def ray_sweep(
    function: str,
    jobs: Sequence[Parameters],
    folder: Path | str,
    *,
    threads: int = 1,
    announce: Callable[[SweepRow, int, int], None] | None = None,
) -> list[SweepRow]:
    """Runs a function for every set of parameters, as Ray tasks.

    As many run at a time as the cluster has `threads` CPUs for. Where Ray has not been started, it is: on the
    cluster that ``RAY_ADDRESS`` names, on this machine otherwise. This process alone writes the rows, so
    machines need no common disk; every one needs moola-train and the function's module.

    Args:
        function: As in `moola_train.sweep.sweep`.
        jobs: As there.
        folder: As there, and the same one: finished rows stay, failed ones are tried once more.
        threads: CPUs that a task asks Ray for, and its threads for arithmetic.
        announce: As there.

    Returns:
        A row a job, in the order of `jobs`.

    Raises:
        ValueError: Jobs repeat, JSON cannot tell them, the folder belongs to something else, the function
            cannot be found here, or the extra is not installed.
        BlockingIOError: Another process works in the folder.
    """
    if threads < 1:
        raise ValueError(f"threads: want 1 or more, got {threads}")
    ray = extra_module("ray", extra="ray")
    find_function(function)
    keyed = keyed_jobs(jobs)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(path)
    waiting: dict[object, str] = {}
    try:
        earlier = begin_sweep(path, function, keyed)
        done = {key: earlier[key] for key in keyed if key in earlier and earlier[key].status == "done"}
        if len(done) < len(keyed) and not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        task = ray.remote(_job) if len(done) < len(keyed) else None
        attempts = {key: earlier[key].attempt + 1 if key in earlier else 1 for key in keyed}
        variables = {name: str(threads) for name in THREADS}
        variables["PYTHONPATH"] = os.pathsep.join(p or str(Path.cwd()) for p in sys.path)
        for key in [key for key in keyed if key not in done]:
            assert task is not None  # made, for there is something to do
            sent = task.options(num_cpus=threads, max_retries=0, runtime_env={"env_vars": variables})
            waiting[sent.remote(function, key, dict(keyed[key]), attempts[key])] = key
        while waiting:
            [finished], _ = ray.wait(list(waiting), num_returns=1)
            key = waiting.pop(finished)
            try:
                row = SweepRow.model_validate_json(ray.get(finished))
            except ray.exceptions.RayError as error:  # the worker or its machine is gone
                row = _lost(key, keyed[key], attempts[key], str(error))
            replace_text(path / "rows" / f"{key}.json", row.model_dump_json(indent=1))
            done[key] = row
            if announce is not None:
                announce(row, len(done), len(keyed))
        return [done[key] for key in keyed]
    finally:
        for sent in waiting:
            ray.cancel(sent, force=True)
        lock.release()


def _job(function: str, key: str, parameters: Mapping[str, JsonValue], attempt: int) -> str:
    """Runs in a worker of Ray; the row travels as JSON."""
    return work(find_function(function), key, parameters, attempt).model_dump_json()


def _lost(key: str, parameters: Parameters, attempt: int, said: str) -> SweepRow:
    return SweepRow(
        key=key,
        parameters=dict(parameters),
        status="failed",
        result=None,
        error=f"the worker ended: {said}",
        attempt=attempt,
        seconds=0.0,
        cpu_seconds=0.0,
    )
