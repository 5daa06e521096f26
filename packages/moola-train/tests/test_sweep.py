"""A sweep loses no finished run, whatever happens to its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moola_train.schema import SweepRow
from moola_train.sweep import grid, job_key, read_sweep, sweep

JOBS = """
import os, signal, time
from pathlib import Path

def square(x, folder):
    with open(Path(folder) / f"ran_{x}", "a") as file:
        file.write("x")
    return {"square": x * x, "process": os.getpid()}

def slow(x, folder, wait):
    time.sleep(wait)
    return square(x, folder)

def fragile(x, folder):
    square(x, folder)
    if x == 1:
        raise ValueError("one is refused")
    if x == 2:
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if x == 3:
        return {"bad": object()}
    return {"x": x, "undefined": float("nan")}
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sweep_jobs.py").write_text(JOBS)
    (tmp_path / "ran").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def runs(folder: Path) -> dict[str, int]:
    return {file.name: len(file.read_text()) for file in sorted((folder / "ran").iterdir())}


def test_rows_come_in_the_order_of_the_jobs_and_no_job_runs_twice(jobs: Path) -> None:
    wanted = [{"x": x, "folder": str(jobs / "ran")} for x in (3, 1, 2)]
    rows = sweep("sweep_jobs:square", wanted, jobs / "sweep", workers=2)
    assert [row.result["square"] for row in rows if row.result] == [9, 1, 4]
    again = sweep(
        "sweep_jobs:square", [*wanted, {"x": 5, "folder": str(jobs / "ran")}], jobs / "sweep", workers=2
    )
    assert [row.result["square"] for row in again if row.result] == [9, 1, 4, 25]
    assert runs(jobs) == {"ran_1": 1, "ran_2": 1, "ran_3": 1, "ran_5": 1}
    assert read_sweep(jobs / "sweep") == again


def test_a_failure_and_a_crash_end_their_own_job_alone(jobs: Path) -> None:
    wanted = [{"x": x, "folder": str(jobs / "ran")} for x in range(6)]
    seen: list[tuple[str, int, int]] = []

    def announce(row: SweepRow, done: int, all_: int) -> None:
        seen.append((row.status, done, all_))

    rows = sweep("sweep_jobs:fragile", wanted, jobs / "sweep", announce=announce)
    assert [row.status for row in rows] == ["done", "failed", "failed", "failed", "done", "done"]
    assert [row.attempt for row in rows] == [1] * 6
    errors = [row.error or "" for row in rows]
    assert errors[1].startswith("ValueError: one is refused")
    assert errors[2].startswith("the worker ended with signal 9")
    assert "about to die" in errors[2]
    assert errors[3].startswith("TypeError")
    assert read_sweep(jobs / "sweep")[0].result == {"x": 0, "undefined": None}
    assert [done for _, done, _ in seen] == [1, 2, 3, 4, 5, 6]
    again = sweep("sweep_jobs:fragile", wanted, jobs / "sweep")
    assert [row.attempt for row in again] == [1, 2, 2, 2, 1, 1]
    assert runs(jobs) == {"ran_0": 1, "ran_1": 2, "ran_2": 2, "ran_3": 2, "ran_4": 1, "ran_5": 1}


def test_a_killed_sweep_of_twelve_loses_no_finished_run_and_leaves_no_worker(jobs: Path) -> None:
    wanted = [{"x": x, "folder": str(jobs / "ran"), "wait": 0.1} for x in range(12)]
    code = (
        "import json; from moola_train.sweep import sweep; "
        f"jobs = json.loads({json.dumps(wanted)!r}); "
        f"sweep('sweep_jobs:slow', jobs, {str(jobs / 'sweep')!r}, workers=2)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    rows = jobs / "sweep" / "rows"
    while not rows.is_dir() or len(list(rows.glob("[0-9a-f]*.json"))) < 4:
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(1.5)  # three looks of the workers at their parent
    finished = runs(jobs)
    survivors = read_sweep(jobs / "sweep")
    assert 4 <= len(survivors) < 12
    again = sweep("sweep_jobs:slow", wanted, jobs / "sweep", workers=2)
    assert [row.status for row in again] == ["done"] * 12
    assert [row for row in again if row in survivors] == survivors
    assert all(runs(jobs)[name] >= count for name, count in finished.items())
    assert sum(runs(jobs).values()) <= 12 + 2  # no more than the two that were being run are run again


def test_a_function_that_cannot_be_found_is_said_once_before_any_job(jobs: Path) -> None:
    for name, said in (
        ("sweep_jobs", "want 'module:function'"),
        ("sweep_jobs:missing", "want a function of 'sweep_jobs', got 'missing'"),
        ("no_such_module_here:f", "want an importable module"),
    ):
        with pytest.raises(ValueError, match=said):
            sweep(name, [{"x": 1}], jobs / name.replace(":", "_"))


def test_bad_jobs_and_foreign_folders_are_refused(jobs: Path) -> None:
    with pytest.raises(ValueError, match=r"got .* again in row 1"):
        sweep("sweep_jobs:square", [{"x": 1, "y": 2}, {"y": 2, "x": 1}], jobs / "a")
    with pytest.raises(ValueError, match=r"JSON can tell.*row 0"):
        sweep("sweep_jobs:square", [{"x": object()}], jobs / "b")  # type: ignore[dict-item]
    (jobs / "c").mkdir()
    (jobs / "c" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"mine\.txt"):
        sweep("sweep_jobs:square", [{"x": 1}], jobs / "c")
    sweep("sweep_jobs:square", [{"x": 1, "folder": str(jobs / "ran")}], jobs / "d")
    with pytest.raises(ValueError, match="want a sweep of sweep_jobs:slow, got one of sweep_jobs:square"):
        sweep("sweep_jobs:slow", [{"x": 1}], jobs / "d")


def test_a_grid_holds_every_combination_once() -> None:
    combinations = grid(a=[1, 2, 3], b=["x", "y"])
    assert len({job_key(parameters) for parameters in combinations}) == 6
