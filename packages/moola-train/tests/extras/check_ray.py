"""Run by name where ray is installed: pytest -m slow tests/extras/check_ray.py. Starts Ray on this machine.

requires: ray
"""

import json
from pathlib import Path

import pytest
import ray

from moola_train.ray_sweep import ray_sweep
from moola_train.sweep import read_sweep, sweep

pytestmark = pytest.mark.slow

JOBS = """
import os, signal
from pathlib import Path

def square(x, ran):
    with open(Path(ran) / "ran", "a") as file:
        file.write(f"{x}\\n")
    if x == 3 and not (Path(ran) / "mended").exists():
        raise ValueError("three is refused")
    if x == 4 and not (Path(ran) / "mended").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": x * x, "threads": os.environ["OMP_NUM_THREADS"]}
"""


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ray_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_either_engine_goes_on_where_the_other_stopped(jobs):
    wanted = [{"x": x, "ran": str(jobs)} for x in range(6)]
    seen = []
    first = sweep("ray_jobs:square", wanted[:2], jobs / "sweep")
    rows = ray_sweep("ray_jobs:square", wanted, jobs / "sweep", announce=lambda *told: seen.append(told))
    assert rows[:2] == first
    assert [row.status for row in rows] == ["done", "done", "done", "failed", "failed", "done"]
    assert (rows[3].error or "").startswith("ValueError: three is refused")
    assert (rows[4].error or "").startswith("the worker ended")
    assert [done for _, done, _ in seen] == [3, 4, 5, 6]
    assert read_sweep(jobs / "sweep") == rows
    (jobs / "mended").write_text("")
    again = sweep("ray_jobs:square", wanted, jobs / "sweep")
    assert [row.status for row in again] == ["done"] * 6
    assert [row.attempt for row in again] == [1, 1, 1, 2, 2, 1]
    assert [row.result for row in again] == [{"square": x * x, "threads": "1"} for x in range(6)]
    assert ray_sweep("ray_jobs:square", wanted, jobs / "sweep") == again
    ran = (jobs / "ran").read_text().split()
    assert {x: ran.count(str(x)) for x in range(6)} == {0: 1, 1: 1, 2: 1, 3: 2, 4: 2, 5: 1}
    manifest = json.loads((jobs / "sweep" / "sweep.json").read_text())
    assert list(manifest["jobs"]) == [row.key for row in rows]


def test_a_function_that_cannot_be_found_is_said_before_any_job(jobs):
    with pytest.raises(ValueError, match="want a function of 'ray_jobs', got 'missing'"):
        ray_sweep("ray_jobs:missing", [{"x": 1}], jobs / "sweep")
    assert not (jobs / "sweep").exists()
