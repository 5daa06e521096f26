"""`moola resume` ends a killed run as if it had never stopped, and refuses what is not its run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from moola_train.recipes.commands import run
from moola_train.recipes.provenance import git_state
from moola_train.recipes.table_cut import cut_tables

COMMAND = "import sys; from moola_train.recipes.commands import run; sys.exit(run(sys.argv[1:]))"
TABLES = ("loss_components", "uncertainty_params", "probability_stats", "feature_stats", "gradient_stats")


def records(folder: Path) -> list[str]:
    lines = (folder / "records.jsonl").read_text().splitlines()
    return [line for line in lines if '"epoch_time"' not in line]


def said(capsys) -> str:
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("moola: ")
    return error


@pytest.fixture(scope="module")
def longer(market, tmp_path_factory) -> Path:
    config = tmp_path_factory.mktemp("longer") / "longer.toml"
    text = (market / "quick.toml").read_text()
    config.write_text(text.replace("epochs = 3", "epochs = 10") + "[doctor]\nevery = 10\n")
    return config


@pytest.fixture(scope="module")
def straight(longer, flags) -> Path:
    folder = longer.parent / "straight"
    assert run(["train", *flags, "--config", str(longer), "--run", str(folder)]) == 0
    return folder


def interrupted(longer: Path, flags: list[str], folder: Path, how: signal.Signals, after: int) -> int:
    command = ["train", *flags, "--config", str(longer), "--run", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    table = folder / "epoch_metrics.csv"
    while not table.exists() or table.read_text().count("\n") < after + 1:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate()
    return process.returncode


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_as_the_straight_one(how, straight, longer, flags, tmp_path, capsys):
    folder = tmp_path / "run"
    code = interrupted(longer, flags, folder, how, after=2)
    assert code == (-9 if how == signal.SIGKILL else 130)
    assert not (folder / "decision.json").exists()
    with (folder / "epoch_metrics.csv").open("a") as table:
        table.write("4,0.1")  # torn by the kill
    assert run(["resume", str(folder)]) == 0
    assert "report:" in capsys.readouterr().out
    assert records(folder) == records(straight)
    for name in TABLES:
        assert (folder / f"{name}.csv").read_bytes() == (straight / f"{name}.csv").read_bytes()
    mine, theirs = (
        pd.read_csv(f / "epoch_metrics.csv").drop(columns="epoch_time") for f in (folder, straight)
    )
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    for name in ("decision.json", "report.json", "model/model.safetensors"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes()


def test_a_finished_run_is_not_gone_on_with(finished, capsys):
    assert run(["resume", str(finished)]) == 2
    assert "which is finished" in said(capsys)


def test_what_is_no_run_is_refused_in_one_line(tmp_path, capsys):
    for folder in (tmp_path / "none", tmp_path):
        assert run(["resume", str(folder)]) == 2
        assert "want the folder of a run with config.json" in said(capsys)


def test_a_run_without_its_report_gets_it(finished, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    for name in ("decision.json", "report.json", "report.md"):
        (copy / name).unlink()
    assert run(["resume", str(copy)]) == 0
    for name in ("decision.json", "report.json"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("name", ["bars", "spans"])
def test_changed_files_are_refused_and_named(name, finished, market, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    (copy / "decision.json").unlink()
    table = pd.read_csv(market / f"{name}.csv")
    if name == "bars":
        table.loc[5, "close"] = (table.loc[5, "low"] + table.loc[5, "high"]) / 2
    else:
        table.loc[5, "end"] += 1
    table.to_csv(tmp_path / "changed.csv", index=False)
    source = json.loads((copy / "source.json").read_text())
    (copy / "source.json").write_text(json.dumps({**source, name: str(tmp_path / "changed.csv")}))
    assert run(["resume", str(copy)]) == 2
    error = said(capsys)
    assert f"{name}: want those that the run was made of" in error
    assert "changed.csv" in error


def test_a_run_says_what_it_was_made_of(finished, market):
    source = json.loads((finished / "source.json").read_text())
    assert source["bars"] == str((market / "bars.csv").resolve())
    about = json.loads((finished / "metadata.json").read_text())
    assert about["data_card"]["fingerprint"] == source["bars_fingerprint"]
    assert about["data_card"]["labels"][0]["fingerprint"] == source["spans_fingerprint"]
    assert about["config"] == json.loads((finished / "config.json").read_text())
    assert about["hardware"]["cores"] >= 1
    assert about["hardware"]["processor"]
    assert about["seeds"]["network"] == about["config"]["model"]["seed"]
    assert {"torch", "numpy", "python", "moola-train"} <= set(about["versions"])


def test_the_state_of_git_is_told_where_there_is_one(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    assert git_state(tmp_path) is None
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "changed_files": 0}
    (tmp_path / "file").write_text("two")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "changed_files": 1}


def test_cutting_a_table_keeps_whole_rows_up_to_the_epoch(tmp_path):
    (tmp_path / "loss_components.csv").write_text("epoch,phase\n1,train\n1,val\n2,train\n2,val\n3,tr")
    (tmp_path / "gradient_stats.csv").write_text("epoch,total\n10,1.0\n")
    (tmp_path / "other.csv").write_text("epoch\n9\n")
    cut_tables(tmp_path, after=1)
    assert (tmp_path / "loss_components.csv").read_text() == "epoch,phase\n1,train\n1,val\n"
    assert not (tmp_path / "gradient_stats.csv").exists()
    assert (tmp_path / "other.csv").read_text() == "epoch\n9\n"
    (tmp_path / "feature_stats.csv").write_text("name\nx\n")
    with pytest.raises(ValueError, match="want the column epoch first"):
        cut_tables(tmp_path, after=1)
