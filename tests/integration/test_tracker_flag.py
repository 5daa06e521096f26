"""`moola train --tracker` and `moola demo`: trackers are known before the work, and a demo resumes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from moola_train import Callback
from moola_train.recipes.commands import run


class Listener(Callback):
    """Keeps what it was shown."""

    seen: list[tuple[int, int]] = []

    def __init__(self, folder):
        self.folder = folder

    def on_epoch_end(self, state):
        self.seen.append((state.epoch, len(state.records)))
        return ()


@pytest.fixture
def offered(monkeypatch):
    Listener.seen = []
    point = SimpleNamespace(name="listener", load=lambda: Listener)
    monkeypatch.setattr("moola_train.trackers.entry_points", lambda *, group: [point])


def test_a_tracker_sees_every_epoch_after_all_other_callbacks(offered, market, flags, tmp_path):
    folder = tmp_path / "run"
    words = ["--config", str(market / "quick.toml"), "--run", str(folder), "--tracker", "listener"]
    assert run(["train", *flags, *words]) == 0
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert Listener.seen == [(e, sum(line["epoch"] == e for line in lines)) for e in (1, 2, 3)]
    assert json.loads((folder / "source.json").read_text())["trackers"] == ["listener"]


def test_an_unknown_tracker_is_refused_before_anything_is_written(offered, flags, tmp_path, capsys):
    assert run(["train", *flags, "--run", str(tmp_path / "run"), "--tracker", "magic"]) == 2
    error = capsys.readouterr().err.strip()
    assert "want one of listener, mlflow, tensorboard, wandb, got 'magic'" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_demo_is_gone_on_with_too(market, tmp_path):
    config = tmp_path / "demo.toml"
    config.write_text((market / "quick.toml").read_text().replace("epochs = 3", "epochs = 1"))
    folder = tmp_path / "run"
    assert run(["demo", "--config", str(config), "--run", str(folder)]) == 0
    before = (folder / "decision.json").read_bytes()
    (folder / "decision.json").unlink()
    assert run(["resume", str(folder)]) == 0
    assert (folder / "decision.json").read_bytes() == before
    assert json.loads((folder / "source.json").read_text())["kind"] == "demo"


@pytest.mark.parametrize(
    "command", ["resume", "sweep", "walk-forward", "doctor", "pretrain", "train", "demo"]
)
def test_help_shows_an_example(command, capsys):
    assert run([command, "--help"]) == 0
    assert f"moola {command}" in capsys.readouterr().out.split("Example")[1]
