"""A user's own model with invented tasks, trained by a TOML file; the twenty lines are those of a user."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from moola_train.protocols import Callback
from moola_train.recipes.commands import run
from moola_train.recipes.own_run import OwnConfig, resume_own, run_own
from moola_train.recipes.settings import read_own_settings

MINE = """
import torch
from torch import nn
from moola_train import Examples, Task
from moola_train.elementwise import Elementwise

rain = Elementwise(nn.functional.binary_cross_entropy_with_logits)
warmth = Elementwise(nn.functional.mse_loss)

class Weather(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Dropout(0.1))
        self.rain, self.warmth = nn.Linear(hidden, 1), nn.Linear(hidden, 1)

    def forward(self, x):
        state = self.encoder(x)
        return {"rain": self.rain(state).squeeze(-1), "warmth": self.warmth(state).squeeze(-1)}

def build(hidden=8, rows=96):
    x = torch.randn(rows, 4)
    targets = {"rain": (x[:, 0] > 0).float(), "warmth": x[:, 1] - x[:, 2]}
    split = torch.arange(rows) % 3 // 2
    tasks = (Task("rain", rain), Task("warmth", warmth))
    return Weather(hidden), Examples(x, targets, split=split), tasks

def nothing(hidden):
    return 3
"""
TOML = """
recipe = "own"
build = "my_weather:build"

[arguments]
hidden = 6

[balancer]
kind = "gradnorm"

[fit]
epochs = 12
batch_size = 16
learning_rate = 0.02
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_weather.py").write_text(MINE)
    (tmp_path / "mine.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_model_of_twenty_lines_with_two_invented_tasks_learns_from_a_toml_file(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", "--config", "mine.toml", "--run", "first", "--fit.epochs", "30", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["epochs"] == 30
    assert told["last"]["inner/warmth/loss"] < 0.5  # the variance of the target is 2
    assert set(load_file(place / "first" / "model.safetensors")) == {
        f"{part}.{kind}" for part in ("encoder.0", "rain", "warmth") for kind in ("weight", "bias")
    }
    assert json.loads((place / "first" / "own.json").read_text())["balancer"]["kind"] == "gradnorm"


def test_the_seed_alone_decides_the_run(place: Path) -> None:
    config = read_own_settings(Path("mine.toml"), ["fit.epochs=2"])
    folders = [run_own(config, folder=lambda name=name: place / name)[0] for name in ("a", "b")]
    other = config.model_copy(update={"fit": config.fit.model_copy(update={"seed": 5})})
    folders.append(run_own(other, folder=lambda: place / "c")[0])
    first, second, third = (load_file(folder / "model.safetensors") for folder in folders)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_an_interrupted_run_ends_as_if_it_had_never_stopped(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_own_settings(Path("mine.toml"))
    straight, _ = run_own(config, folder=lambda: place / "straight")

    class Stopper(Callback):
        def on_epoch_end(self, state: object) -> tuple[()]:
            if getattr(state, "epoch", 0) == 5:
                os.kill(os.getpid(), 2)
            return ()

    with pytest.raises(KeyboardInterrupt):
        run_own(config, folder=lambda: place / "halted", callbacks=[Stopper()])
    assert not (place / "halted" / "result.json").exists()
    assert run(["resume", "halted", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    one, other = (load_file(place / name / "model.safetensors") for name in ("straight", "halted"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert json.loads((straight / "result.json").read_text()) == {
        name: value for name, value in told.items() if name != "run"
    }
    with pytest.raises(ValueError, match="finished"):
        resume_own(place / "halted")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("my_weather:build", "my_weather:nothing", "want my_weather:nothing to return"),
        ("my_weather:build", "my_weather:build_", "want a function"),
        ("my_weather:build", "no_such_module:build", "importable"),
        ('build = "my_weather:build"', "", "build: want 'module:function'"),
        ("epochs = 12", "epoch = 12", "did you mean 'fit.epochs'"),
        ('kind = "gradnorm"', 'kind = "gradnrom"', "gradnorm"),
        ("hidden = 6", "hiden = 6", "hiden"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    (place / "mine.toml").write_text(TOML.replace(old, new))
    assert run(["fit", "--config", "mine.toml", "--run", "bad"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1
    assert not (place / "bad").exists()


def test_arguments_of_the_function_are_kept_with_the_run(place: Path) -> None:
    config = OwnConfig(build="my_weather:build", arguments={"hidden": 3})
    folder, _ = run_own(
        config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": 1})}),
        folder=lambda: place / "r",
    )
    assert load_file(folder / "model.safetensors")["rain.weight"].shape == (1, 3)
    assert OwnConfig.model_validate_json((folder / "own.json").read_text()).arguments == {"hidden": 3}
