"""`moola study` for a program: one JSON object on standard output, all else on the error stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from moola_train.recipes import study_command, study_run
from moola_train.recipes.commands import run
from moola_train.recipes.study import load_study, parse_study, study_names
from moola_train.schema import SweepRow
from moola_train.sweep import job_key

SMALL = """
name = "NAME"
title = "The study NAME"
question = "Is it told?"
seeds = [0, 1]
function = "argument_trial"
source = { kind = "one_expansion", base = 102, copies = true, split = "row", fresh = 300 }
columns = []
picture = []
variant = [{ name = "a", run = { argument = "sums" } }, { name = "b", run = { argument = "SECOND" } }]
"""
FAILS = "clock"
"""The argument whose trials fail here."""
SECOND = {"sound": "shares", "broken": FAILS}


def made_up(
    function: str,
    jobs: Sequence[Any],
    folder: Path,
    *,
    workers: int,
    announce: Callable[[SweepRow, int, int], None],
) -> list[SweepRow]:
    """A sweep whose trials are made up: how they are run has tests of its own."""
    rows = []
    for number, parameters in enumerate(jobs, start=1):
        lost = parameters["run"]["argument"] == FAILS
        outcome = {"status": "failed", "error": "ValueError: lost"} if lost else {"status": "done"}
        result = None if lost else {"number": float(number)}
        row = SweepRow.model_validate(
            {"key": job_key(parameters), "parameters": parameters, "result": result, "error": None}
            | {"attempt": 1, "seconds": 0.5, "cpu_seconds": 0.5}
            | outcome
        )
        announce(row, number, len(jobs))
        rows.append(row)
    return rows


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Two small studies in place of the package's; one has a trial that fails. Returns flags for folders."""

    def made(name: str) -> Any:
        return parse_study(SMALL.replace("NAME", name).replace("SECOND", SECOND[name]))

    monkeypatch.setattr(study_command, "study_names", lambda: tuple(SECOND))
    monkeypatch.setattr(study_command, "load_study", made)
    monkeypatch.setattr(study_run, "sweep", made_up)
    return ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("name", "failed"), [("sound", 0), ("broken", 2)])
def test_a_study_tells_its_trials_and_its_files(
    name: str, failed: int, small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", name, *small, "--json"]) == (1 if failed else 0)
    found = told(capsys)
    files = sorted(str(file) for file in (tmp_path / "out").iterdir())
    assert found == {"study": name, "trials": 4, "failed": failed, "files": found["files"]}
    assert sorted(found["files"]) == files
    assert str(tmp_path / "out" / f"{name}.md") in files


def test_all_are_told_together_and_one_by_one(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", "all", *small, "--json"]) == 1
    found = told(capsys)
    assert (found["study"], found["trials"], found["failed"]) == ("all", 8, 2)
    assert [one["study"] for one in found["studies"]] == ["sound", "broken"]
    assert [file for one in found["studies"] for file in one["files"]] == found["files"][:-1]
    assert found["files"][-1] == str(tmp_path / "out" / "claims.md")
    assert sorted(found["files"]) == sorted(str(file) for file in (tmp_path / "out").iterdir())


def test_a_quick_study_tells_the_files_of_its_own_folder(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", "all", "--quick", *small, "--json"]) == 1
    assert {Path(file).parent for file in told(capsys)["files"]} == {tmp_path / "out" / "quick"}


def test_words_and_json_tell_the_same(small: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "sound", *small]) == 0
    words = capsys.readouterr().out
    assert run(["study", "sound", *small, "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    page = next(file for file in found["files"] if file.endswith(".md"))
    assert words == f"sound: {found['trials']} trials, {found['failed']} failed: {page}\n"
    assert words in said.err


def test_the_list_is_told_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "list", "--json"]) == 0
    listed = told(capsys)["studies"]
    assert listed == [{"name": name, "title": load_study(name).title} for name in study_names()]
    assert run(["study", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{one['name']:12} {one['title']}" for one in listed]


def test_a_misspelt_study_is_one_line_and_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "stal", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "did you mean 'stall'?" in said.err
