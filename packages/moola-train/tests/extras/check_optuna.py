"""Run by name where optuna is installed: pytest tests/extras/check_optuna.py.

requires: optuna
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from moola_train.optuna_study import optimise
from moola_train.sweep import read_sweep

JOBS = """
import math, os, time
from pathlib import Path

def bowl(x, kind, ran, wait=0.0):
    time.sleep(wait)
    with open(Path(ran) / "ran", "a") as file:
        file.write(f"{x} {kind}\\n")
    if kind == "broken":
        raise ValueError("broken")
    return {"height": (x - 2) ** 2, "undefined": math.nan}
"""
SPACE = {"x": FloatDistribution(-5, 5), "kind": CategoricalDistribution(["good", "broken"])}
SMALL = {"kind": CategoricalDistribution(["good", "broken"])}


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "optuna_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return tmp_path


def ran(folder: Path) -> list[str]:
    return (folder / "ran").read_text().splitlines()


def states(folder: Path) -> list[str]:
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "optuna.journal"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(journal))
    return [trial.state.name for trial in study.trials]


def search(jobs: Path, trials: int, **more):
    given = {"metric": "height", "trials": trials, "workers": 2, "fixed": {"ran": str(jobs)}} | more
    return optimise("optuna_jobs:bowl", SPACE, jobs / "study", **given)


def test_the_best_trial_is_that_of_the_best_row_and_failures_are_told(jobs):
    found = search(jobs, 20)
    heights = [row.result["height"] for row in found.rows if row.result]
    assert found.value == min(heights)
    assert (found.parameters["x"] - 2) ** 2 == found.value
    assert found.parameters["kind"] == "good"
    assert len(states(jobs / "study")) == 20
    assert states(jobs / "study").count("COMPLETE") == len(heights)
    assert states(jobs / "study").count("FAIL") == 20 - len(heights)
    assert found.value < 1
    assert {row.key for row in read_sweep(jobs / "study")} == {row.key for row in found.rows}


def test_more_trials_go_on_from_those_there_are(jobs):
    search(jobs, 6)
    before = ran(jobs)
    found = search(jobs, 10)
    assert ran(jobs)[: len(before)] == before
    assert len(states(jobs / "study")) == 10
    assert len(ran(jobs)) == len(set(ran(jobs))) == 10
    assert search(jobs, 10).value == found.value
    assert len(ran(jobs)) == 10


def test_equal_parameters_run_once(jobs):
    given = {"metric": "height", "trials": 12, "workers": 2, "fixed": {"ran": str(jobs), "x": 1.0}}
    found = optimise("optuna_jobs:bowl", SMALL, jobs / "study", **given)
    assert found.value == 1
    assert ran(jobs).count("1.0 good") == 1
    assert len(states(jobs / "study")) == 12


def test_a_number_that_is_undefined_is_a_failed_trial(jobs):
    with pytest.raises(ValueError, match="want a trial with a finite 'undefined'"):
        search(jobs, 3, metric="undefined")
    assert states(jobs / "study") == ["FAIL"] * 3


def test_the_largest_is_found_where_more_is_better(jobs):
    found = search(jobs, 8, direction="maximize")
    assert found.value == max(row.result["height"] for row in found.rows if row.result)


def test_a_killed_search_loses_no_finished_trial(jobs):
    code = (
        "from moola_train.optuna_study import optimise\n"
        "from optuna.distributions import FloatDistribution\n"
        f"optimise('optuna_jobs:bowl', {{'x': FloatDistribution(-5, 5)}}, {str(jobs / 'study')!r},"
        " metric='height', trials=12, workers=2,"
        f" fixed={{'ran': {str(jobs)!r}, 'kind': 'good', 'wait': 0.2}})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    rows = jobs / "study" / "rows"
    while not rows.is_dir() or len(list(rows.glob("[0-9a-f]*.json"))) < 4:
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(1.5)  # three looks of the workers at their parent
    survivors = read_sweep(jobs / "study")
    assert len(survivors) >= 4
    assert len(json.loads((jobs / "study" / "sweep.json").read_text())["jobs"]) >= len(survivors)
    again = subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert again.returncode == 0
    assert states(jobs / "study").count("COMPLETE") == 12
    assert len(states(jobs / "study")) <= 12 + 1  # a kill within an asking leaves one without parameters
    rows_now = read_sweep(jobs / "study")
    assert len(rows_now) == 12
    assert all(row in rows_now for row in survivors)
    assert len(ran(jobs)) <= 12 + 2


def test_a_trial_killed_before_its_parameters_were_written_is_replaced(jobs):
    search(jobs, 2)
    journal = optuna.storages.journal.JournalFileBackend(str(jobs / "study" / "optuna.journal"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(journal))
    study.ask()
    half = study.ask()
    half.suggest_float("x", -5, 5)
    found = search(jobs, 5)
    assert len(found.rows) == len(ran(jobs)) == 5
    assert states(jobs / "study")[2:4] == ["FAIL", "FAIL"]
    assert len(states(jobs / "study")) == 5 + 2
