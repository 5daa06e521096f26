"""What stops `moola` half-way leaves what is done, whole, and says the command that goes on."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moola_train.recipes import commands, predict_command
from moola_train.recipes.commands import run
from moola_train.recipes.progress import ProgressBar


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, whoever writes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def parts(folder: Path) -> list[str]:
    """Files that were not written to their end."""
    return [path.name for path in folder.rglob("*") if path.name.endswith(".part") or ".tmp-" in path.name]


@pytest.fixture
def train(market: Path, flags: list[str], tmp_path: Path) -> list[str]:
    return ["train", *flags, "--config", str(market / "quick.toml"), "--run", str(tmp_path / "run")]


# Slow: the same by Ctrl-C, of which test_commands sees the exit code.
@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_an_interrupted_training_says_how_to_go_on_and_ends_as_the_straight_one(
    how: signal.Signals,
    train: list[str],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Impatient(ProgressBar):
        def __call__(self, epoch: int, epochs: int, inner_loss: float | None) -> None:
            if epoch == 2:
                signal.raise_signal(how)

    monkeypatch.setattr(commands, "ProgressBar", Impatient)
    assert run(train) == 130
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line.startswith(f"moola: interrupted: {how.name} at step")
    assert said.out == ""
    assert parts(tmp_path) == []
    command = line.partition("go on with: moola ")[2].split()
    assert command == ["resume", str(tmp_path / "run")]
    assert run(command) == 0
    for name in ("decision.json", "report.json", "model/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (finished / name).read_bytes()


def test_a_signal_before_anything_is_begun_leaves_nothing(
    train: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "file_inputs", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert run(train) == 130
    assert "nothing was begun that could be gone on with" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_interrupted_prediction_goes_on_by_the_same_command(
    finished: Path,
    market: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def predict(out: str) -> list[str]:
        return ["predict", str(market / "bars.csv"), "--run", str(finished), "--out", str(tmp_path / out)]

    assert run(predict("straight.csv")) == 0
    # A process begun in the background of a script ignores SIGINT, and so would the tests that it runs.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(predict_command.WindowBar, "__call__", lambda *_: signal.raise_signal(signal.SIGINT))
        assert run(predict("out.csv")) == 130
    signal.signal(signal.SIGINT, before)
    error = capsys.readouterr().err
    assert f"what is done is kept in {tmp_path / '.out.csv.work'}; the same command goes on" in error
    assert not (tmp_path / "out.csv").exists()
    assert run(predict("out.csv")) == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "straight.csv").read_bytes()
    assert not (tmp_path / ".out.csv.work").exists()


@pytest.mark.parametrize("room", [500, 4000])
def test_a_disk_that_is_full_at_once_is_one_line_with_the_file(
    room: int, train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(room):
        assert run(train) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("moola: File too large: ")
    assert str(tmp_path / "run") in line
    assert parts(tmp_path) == []


def test_a_disk_that_fills_while_training_loses_nothing_that_was_saved(
    train: list[str],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Filling(ProgressBar):
        def __call__(self, epoch: int, epochs: int, inner_loss: float | None) -> None:
            if epoch == 2:
                resource.setrlimit(
                    resource.RLIMIT_FSIZE, (3000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
                )

    monkeypatch.setattr(commands, "ProgressBar", Filling)
    with full_disk(resource.RLIM_INFINITY):
        assert run(train) == 2
    [line] = capsys.readouterr().err.splitlines()
    folder = tmp_path / "run"
    assert line.startswith("moola: File too large; what was saved stays; go on with: moola resume ")
    assert parts(tmp_path) == []
    assert run(["resume", str(folder)]) == 0
    assert (folder / "decision.json").read_bytes() == (finished / "decision.json").read_bytes()


def test_a_prediction_on_a_full_disk_goes_on_when_there_is_room(
    finished: Path, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "predict",
        str(market / "bars.csv"),
        "--run",
        str(finished),
        "--out",
        str(tmp_path / "out.csv"),
    ]
    with full_disk(4000):
        assert run(command) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("moola: File too large; the same command goes on: ")
    assert parts(tmp_path) == []
    assert not (tmp_path / "out.csv").exists()
    assert run(command) == 0
    assert (tmp_path / "out.csv").is_file()


def test_what_a_killed_prediction_of_other_bars_left_is_refused_with_what_to_do(
    finished: Path, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "predict",
        str(market / "bars.csv"),
        "--run",
        str(finished),
        "--out",
        str(tmp_path / "out.csv"),
    ]
    work = tmp_path / ".out.csv.work"
    work.mkdir()
    (work / "work.json").write_text(json.dumps({"schema_version": 1, "fingerprint": "of other bars"}))
    assert run(command) == 2
    assert f"{work}: delete it, or give --work another folder" in capsys.readouterr().err
    assert run([*command, "--work", str(tmp_path / "elsewhere")]) == 0
    assert (work / "work.json").is_file()
    shutil.rmtree(work)
    assert run(command) == 0
