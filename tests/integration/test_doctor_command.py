"""`moola doctor` looks at the first steps of a run; on a schedule it looks on and changes nothing."""

from __future__ import annotations

import json

import pytest

from moola_losses.doctor_report import DoctorReport
from moola_train.recipes.commands import run
from moola_train.recipes.doctor_command import examine
from moola_train.recipes.doctor_watch import limits
from moola_train.recipes.expansion import expansion_tasks, expansion_windows
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings


def config(market, **changes) -> RunConfig:
    read = read_run_settings(market / "quick.toml")
    return RunConfig.model_validate({**read.model_dump(mode="json"), **changes})


def test_a_run_and_its_configuration_are_examined_alike(finished, market, flags, tmp_path, capsys):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    before = sorted(p.name for p in finished.iterdir())
    code = run(["doctor", str(finished), "--steps", "6", "--out", str(one)])
    printed = capsys.readouterr().out
    quick = ["--config", str(market / "quick.toml")]
    assert run(["doctor", *flags, *quick, "--steps", "6", "--out", str(two)]) == code
    assert capsys.readouterr().out == printed
    assert "prescription" in printed
    report = DoctorReport.load(one)
    assert code == (1 if report.verdicts else 0)
    assert (report.observations, report.first_step, report.last_step) == (6, 0, 5)
    assert report == DoctorReport.load(two) or one.read_bytes() == two.read_bytes()
    assert sorted(p.name for p in finished.iterdir()) == before


def test_a_task_that_is_starved_is_convicted(market):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    starving = config(market, balancer={"kind": "static", "weights": {"span": 1e-6}})
    report = examine(inputs, starving, steps=4)
    assert any(v.task == "span" and v.fault == "starved" for v in report.verdicts)


def test_limits_are_those_of_the_losses(market):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    settings = config(market)
    windows, _ = expansion_windows(inputs.bars, inputs.spans, settings)
    floors, constants = limits(windows, expansion_tasks(windows, settings))
    assert floors["span"] == pytest.approx(0, abs=1e-6)
    p = windows.targets["span"][windows.split == 0].mean()
    assert 0 < constants["span"] < 1
    assert constants["span"] <= float(-(p * _log(p) + (1 - p) * _log(1 - p))) + 1e-6


def _log(x):
    import math

    return math.log(x)


def test_on_a_schedule_it_leaves_a_report_and_changes_no_record(finished, market, flags, tmp_path, capsys):
    text = (market / "quick.toml").read_text()
    (tmp_path / "watched.toml").write_text(text + "[doctor]\nevery = 4\n")
    command = ["train", *flags, "--config", str(tmp_path / "watched.toml"), "--run", str(tmp_path / "run")]
    assert run(command) == 0
    report = DoctorReport.load(tmp_path / "run" / "doctor.json")
    assert report.observations >= 2
    told = capsys.readouterr().err
    assert all(told.count(v.words) == 1 for v in report.verdicts if v.words in told)

    def records(folder):
        lines = (folder / "records.jsonl").read_text().splitlines()
        return [line for line in lines if '"epoch_time"' not in line]

    assert records(tmp_path / "run") == records(finished)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--steps", "0"], "steps: want 1 or more"),
        (["--bars", "b.csv"], "want bars and spans together"),
        (["nowhere"], "want the folder of a run"),
        (["--out", "no/such/folder.json"], "out: want a file"),
    ],
)
def test_bad_input_is_one_line(words, wanted, capsys):
    assert run(["doctor", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert wanted in error
    assert len(error.splitlines()) == 1


def test_more_steps_than_the_run_has_are_told(finished, capsys):
    assert run(["doctor", str(finished), "--steps", "1000"]) in (0, 1)
    assert "steps of the 1000" in capsys.readouterr().err


def test_the_report_is_json(finished, tmp_path):
    run(["doctor", str(finished), "--steps", "2", "--out", str(tmp_path / "d.json")])
    assert json.loads((tmp_path / "d.json").read_text())["observations"] == 2
