"""The process that `moola_train.sweep` feeds with jobs: one thread, one job at a time, until its input ends.

It reads one JSON line a job and answers one line when the job's row is on the disk. Whatever the jobs print
goes to the error stream, which the parent keeps as the log.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from moola_train.checkpoint import replace_text
from moola_train.schema import SweepRow

READY = "ready\n"
WATCH_SECONDS = 0.5
Function = Callable[..., Mapping[str, JsonValue]]


def find_function(name: str) -> Function:
    """Loads ``module:function``.

    Raises:
        ValueError: The name has another form, or there is no such function.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute.isidentifier()):
        raise ValueError(f"function: want 'module:function', got {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise ValueError(f"function: want an importable module, got {name!r} ({error})") from error
    if not callable(found):
        raise ValueError(f"function: want a function of {module!r}, got {attribute!r}")
    return cast(Function, found)


def work(function: Function, key: str, parameters: Mapping[str, JsonValue], attempt: int) -> SweepRow:
    """Runs one job; an exception becomes a failed row with its traceback."""
    begun, cpu = time.perf_counter(), time.process_time()
    result: dict[str, JsonValue] | None = None
    error = None
    try:
        result = dict(function(**parameters))
        json.dumps(result)  # a result that JSON cannot tell is the job's fault, not the sweep's
    except Exception as raised:  # noqa: BLE001 - one job's fault, whatever it is, must not end the others
        result = None
        lines = traceback.format_exception(raised)
        error = f"{type(raised).__name__}: {raised}\n\n" + "".join(lines)
    return SweepRow(
        key=key,
        parameters=dict(parameters),
        status="failed" if error else "done",
        result=result,
        error=error,
        attempt=attempt,
        seconds=time.perf_counter() - begun,
        cpu_seconds=time.process_time() - cpu,
    )


def main(function_name: str, rows: str) -> None:
    """Works off jobs from the standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    parent = os.getppid()
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    function = find_function(function_name)
    answers.write(READY)
    answers.flush()
    for line in sys.stdin:
        job = json.loads(line)
        row = work(function, job["key"], job["parameters"], job["attempt"])
        replace_text(Path(rows) / f"{row.key}.json", row.model_dump_json(indent=1))
        answers.write(row.status + "\n")
        answers.flush()


def _leave_with(parent: int) -> None:
    """Ends this process when its parent is gone: a job that runs on would race with the resumed sweep's."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
