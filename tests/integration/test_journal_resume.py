"""`moola resume` ends a killed journal run as if it had never stopped, and refuses what is not its run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from moola_data.catalogue import Catalogue, write_catalogue
from moola_data.journal_file import write_journal
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_train.recipes.commands import run

TOML = """
[text]
buckets = 256
dimension = 8
[model]
hidden = 8
[memory]
neighbours = 2
key_size = 8
[losses]
flow = {kind = "linear", start = 0.5, end = 0.1, over = 3}
[fit]
epochs = 4
batch_size = 32
[evaluation]
resamples = 10
permutations = 10
svm = false
"""
KILLED = """
import os, signal, sys
from moola_train.recipes import journal_command

class Killing(journal_command.EpochTelling):
    def on_epoch_end(self, state):
        if state.epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return ()

journal_command.EpochTelling = Killing
from moola_train.recipes.commands import run
run(sys.argv[1:])
"""
SAME = ("model/model.safetensors", "decision.json", "encoding.json", "catalogue.json", "learned.json")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Entries, accounts, a configuration, and a run straight to its end; nobody writes into it."""
    folder = tmp_path_factory.mktemp("home")
    write_journal(folder / "entries.csv", uk_journal(100, seed=5).entries)
    write_catalogue(folder / "accounts.json", uk_chart())
    (folder / "four.toml").write_text(TOML)
    assert run(["journal", "train", *words(folder, folder / "straight")]) == 0
    return folder


def words(home: Path, folder: Path) -> list[str]:
    given = ["--entries", str(home / "entries.csv"), "--catalogue", str(home / "accounts.json")]
    return [*given, "--config", str(home / "four.toml"), "--run", str(folder)]


def unfinished(home: Path, folder: Path) -> Path:
    """Copies the straight run as it would be if it had been killed while its report was written."""
    shutil.copytree(home / "straight", folder)
    for name in ("report.md", "report.json", "decision.json"):
        (folder / name).unlink()
    return folder


def records(folder: Path) -> list[str]:
    lines = (folder / "training" / "records.jsonl").read_text().splitlines()
    return [line for line in lines if '"epoch_time"' not in line]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_killed_run_ends_as_the_straight_one(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, straight = tmp_path / "run", home / "straight"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "journal", "train", *words(home, folder)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not (folder / "model").exists()
    assert run(["resume", str(folder)]) == 0
    assert "report:" in capsys.readouterr().out
    assert records(folder) == records(straight)
    for name in (*SAME, "report.json", "report.md"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes(), name


def test_a_run_without_its_report_gets_it(home: Path, tmp_path: Path) -> None:
    folder = unfinished(home, tmp_path / "run")
    assert run(["resume", str(folder)]) == 0
    for name in (*SAME, "report.json", "report.md"):
        assert (folder / name).read_bytes() == (home / "straight" / name).read_bytes(), name


def test_a_finished_run_is_not_gone_on_with(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["resume", str(home / "straight")]) == 2
    assert "which is finished" in said(capsys)


@pytest.mark.parametrize("what", ["entries", "catalogue"])
def test_changed_files_are_refused_and_named(
    what: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unfinished(home, tmp_path / "run")
    changed = tmp_path / ("changed.csv" if what == "entries" else "changed.json")
    if what == "entries":
        write_journal(changed, uk_journal(100, seed=6).entries)
    else:
        first, *others = uk_chart().accounts
        write_catalogue(changed, Catalogue.of([first.model_copy(update={"name": "Another"}), *others]))
    source = json.loads((folder / "source.json").read_text())
    (folder / "source.json").write_text(json.dumps({**source, what: str(changed)}))
    assert run(["resume", str(folder)]) == 2
    error = said(capsys)
    assert f"{what}: want those that the run was made of" in error
    assert changed.name in error


def test_a_run_folder_without_its_source_or_a_checkpoint_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unfinished(home, tmp_path / "run")
    shutil.rmtree(folder / "training")
    assert run(["resume", str(folder)]) == 2
    assert "want one with checkpoints" in said(capsys)
    (folder / "source.json").unlink()
    assert run(["resume", str(folder)]) == 2
    assert "want the folder of a journal run with source.json" in said(capsys)


def test_a_run_says_what_it_was_made_of(home: Path) -> None:
    source = json.loads((home / "straight" / "source.json").read_text())
    assert source["entries"] == str((home / "entries.csv").resolve())
    assert source["catalogue_fingerprint"] == uk_chart().fingerprint
