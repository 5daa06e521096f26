"""Many runs: jobs worked off by one-thread processes, each apart from the others, none done twice.

A job is a set of parameters for one function. Its row is on the disk before the next job begins, so that a
sweep that was killed, at whatever moment, loses at most the jobs that were being run.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import IO

from pydantic import JsonValue, ValidationError

from moola_train.checkpoint import replace_text
from moola_train.folder_lock import FolderLock
from moola_train.schema import SweepRow
from moola_train.sweep_worker import READY

Parameters = Mapping[str, JsonValue]
MANIFEST = "sweep.json"
LOG_TAIL = 2000


def grid(**choices: Sequence[JsonValue]) -> list[dict[str, JsonValue]]:
    """Lists every combination, the last name changing fastest.

    >>> grid(seed=[0, 1], balancer=["static"])
    [{'seed': 0, 'balancer': 'static'}, {'seed': 1, 'balancer': 'static'}]
    """
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def job_key(parameters: Parameters) -> str:
    """Names a job by its parameters, whatever their order.

    >>> job_key({"a": 1, "b": 2}) == job_key({"b": 2, "a": 1})
    True
    """
    canonical = json.dumps(dict(parameters), sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def sweep(
    function: str,
    jobs: Sequence[Parameters],
    folder: Path | str,
    *,
    workers: int = 1,
    threads: int = 1,
    announce: Callable[[SweepRow, int, int], None] | None = None,
) -> list[SweepRow]:
    """Runs a function for every set of parameters, in worker processes.

    Call it again with the same folder to go on after a kill or with more jobs: rows that are done stay,
    failed ones are tried once more. An exception fails its job alone; so does a crash of the worker, which is
    started anew.

    Args:
        function: ``module:function``, importable by a fresh Python. It takes a job's parameters by name and
            returns a mapping that JSON can tell.
        jobs: Parameters, all different, that JSON can tell; a seed is one of them.
        folder: Keeps ``sweep.json``, ``rows/`` and ``logs/``. New, empty, or of an earlier sweep of the same
            function.
        workers: Processes at a time.
        threads: Threads a process may use for arithmetic.
        announce: Called after every job with its row, how many jobs are done, and how many there are.

    Returns:
        A row a job, in the order of `jobs`.

    Raises:
        ValueError: Jobs repeat, JSON cannot tell them, or the folder belongs to something else.
        BlockingIOError: Another process works in the folder.
    """
    for name, count in (("workers", workers), ("threads", threads)):
        if count < 1:
            raise ValueError(f"{name}: want 1 or more, got {count}")
    keyed = keyed_jobs(jobs)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(path)
    try:
        earlier = begin_sweep(path, function, keyed)
        done = {key: earlier[key] for key in keyed if key in earlier and earlier[key].status == "done"}
        todo: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        for key in keyed:
            if key not in done:
                todo.put((key, earlier[key].attempt + 1 if key in earlier else 1))
        Crew(function, path, keyed, todo, done, announce).work(min(workers, todo.qsize()), threads)
        return [done[key] for key in keyed]
    finally:
        lock.release()


def read_sweep(folder: Path | str) -> list[SweepRow]:
    """Reads the rows of a sweep so far, in the order of its jobs; works while it runs.

    Raises:
        FileNotFoundError: The folder holds no sweep.
        ValueError: A row's file is damaged.
    """
    path = Path(folder)
    if not (path / MANIFEST).is_file():
        raise FileNotFoundError(f"folder: want one of a sweep, got {path} without {MANIFEST}")
    order = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["jobs"]
    rows = _rows(path)
    return [rows[key] for key in order if key in rows]


def keyed_jobs(jobs: Sequence[Parameters]) -> dict[str, Parameters]:
    """Names every job by `job_key`.

    Raises:
        ValueError: Jobs repeat, or JSON cannot tell their parameters; names the row.
    """
    keyed: dict[str, Parameters] = {}
    for row, parameters in enumerate(jobs):
        try:
            key = job_key(parameters)
        except (TypeError, ValueError) as error:
            raise ValueError(f"jobs: want parameters that JSON can tell, got {error} in row {row}") from None
        if key in keyed:
            raise ValueError(f"jobs: want different parameters, got {dict(parameters)} again in row {row}")
        keyed[key] = parameters
    return keyed


def begin_sweep(path: Path, function: str, keyed: Mapping[str, Parameters]) -> dict[str, SweepRow]:
    """Checks or makes the folder and returns the rows it holds."""
    known: dict[str, Parameters] = {}
    if (path / MANIFEST).is_file():
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if manifest["function"] != function:
            raise ValueError(f"folder: want a sweep of {function}, got one of {manifest['function']}")
        known = manifest["jobs"]
    elif strangers := sorted(p.name for p in path.iterdir() if p.name != ".lock"):
        raise ValueError(f"folder: want a new one or that of a sweep, got {path} with {strangers[0]!r}")
    (path / "rows").mkdir(exist_ok=True)
    (path / "logs").mkdir(exist_ok=True)
    content = {"schema_version": 1, "function": function, "jobs": {**known, **keyed}}
    replace_text(path / MANIFEST, json.dumps(content, indent=1))
    return _rows(path)


def _rows(path: Path) -> dict[str, SweepRow]:
    rows = {}
    for file in sorted((path / "rows").glob("[0-9a-f]*.json")):
        try:
            row = SweepRow.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{file}: want the row of a job, got {error.errors()[0]['msg']}") from error
        rows[row.key] = row
    return rows


def log_size(log: IO[str]) -> int:
    """Bytes in a log, whoever wrote them."""
    return os.fstat(log.fileno()).st_size


def tail(log: IO[str], begun: int) -> str:
    """The end of what was written to a log after its first `begun` bytes."""
    with Path(log.name).open("rb") as written:
        written.seek(max(begun, log_size(log) - LOG_TAIL))
        return written.read().decode(errors="replace")


def _close(process: subprocess.Popen[str]) -> None:
    """Ends a worker's input, waits for it and closes its pipes."""
    try:
        process.communicate()
    except BrokenPipeError:  # it died with a job half sent
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


class Crew:
    """Worker processes, each with a thread of ours that feeds it."""

    def __init__(
        self,
        function: str,
        path: Path,
        keyed: Mapping[str, Parameters],
        todo: queue.SimpleQueue[tuple[str, int]],
        done: dict[str, SweepRow],
        announce: Callable[[SweepRow, int, int], None] | None,
    ) -> None:
        self.function, self.path, self.keyed = function, path, keyed
        self.todo, self.done, self.announce = todo, done, announce
        self.turn = threading.Lock()
        self.processes: dict[int, subprocess.Popen[str]] = {}
        self.stop = threading.Event()
        self.faults: list[BaseException] = []

    def work(self, workers: int, threads: int) -> None:
        """Returns when there is nothing left to do; an interruption ends the workers first."""
        feeders = [
            threading.Thread(target=self._feed, args=(number, threads), daemon=True)
            for number in range(workers)
        ]
        try:
            for feeder in feeders:
                feeder.start()
            for feeder in feeders:
                feeder.join()
        finally:
            self.stop.set()
            for process in list(self.processes.values()):
                process.kill()
                _close(process)
        if self.faults:
            raise self.faults[0]

    def _feed(self, number: int, threads: int) -> None:
        try:
            with (self.path / "logs" / f"worker_{number}.log").open("a", encoding="utf-8") as log:
                while not self.stop.is_set():
                    try:
                        key, attempt = self.todo.get_nowait()
                    except queue.Empty:
                        return
                    self._one(number, threads, log, key, attempt)
        except BaseException as fault:  # noqa: BLE001 - told to the thread that waits, which raises it
            self.faults.append(fault)
            self.stop.set()
        finally:
            if number in self.processes:
                _close(self.processes[number])

    def _one(self, number: int, threads: int, log: IO[str], key: str, attempt: int) -> None:
        process = self.processes.get(number)
        if process is None or process.poll() is not None:
            if process is not None:
                _close(process)
            process = self.processes[number] = self._start(threads, log)
        begun = log_size(log)
        job = {"key": key, "parameters": dict(self.keyed[key]), "attempt": attempt}
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        file = self.path / "rows" / f"{key}.json"
        if not answer:
            code = process.wait()
            if self.stop.is_set():
                return
            self._crashed(file, key, attempt, code, begun, log)
        row = SweepRow.model_validate_json(file.read_bytes())
        with self.turn:
            self.done[key] = row
            if self.announce is not None:
                self.announce(row, len(self.done), len(self.keyed))

    def _start(self, threads: int, log: IO[str]) -> subprocess.Popen[str]:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        begun = log_size(log)
        process = subprocess.Popen(
            [sys.executable, "-m", "moola_train.sweep_worker", self.function, str(self.path / "rows")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={
                **os.environ,
                **dict.fromkeys(names, str(threads)),
                "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path),
            },
            start_new_session=True,  # Ctrl-C reaches us alone; we end the workers
        )
        assert process.stdout is not None
        if process.stdout.readline() != READY:
            _close(process)
            said = tail(log, begun).strip().splitlines()
            raise ValueError(
                said[-1].removeprefix("ValueError: ") if said else f"function: {self.function} ended Python"
            )
        return process

    def _crashed(self, file: Path, key: str, attempt: int, code: int, begun: int, log: IO[str]) -> None:
        """Writes the row of a job whose worker died, unless it died after writing it."""
        if file.is_file() and SweepRow.model_validate_json(file.read_bytes()).attempt == attempt:
            return
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        row = SweepRow(
            key=key,
            parameters=dict(self.keyed[key]),
            status="failed",
            result=None,
            error=f"the worker ended with {how}\n\n{tail(log, begun)}",
            attempt=attempt,
            seconds=0.0,
            cpu_seconds=0.0,
        )
        replace_text(file, row.model_dump_json(indent=1))
