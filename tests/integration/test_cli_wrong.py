"""Wrong invocations of `moola`: one helpful line, the documented exit code, nothing lost or half-written."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from moola_train.folder_lock import FolderLock
from moola_train.recipes.commands import run


class Room:
    """A folder of one test's own, beside the files that all tests share.

    Attributes:
        here: Empty at first; a case may put what it likes here.
        market: With bars.csv, spans.csv and quick.toml.
        finished: A finished run; never written to.
        held: Closed when the test ends.
    """

    def __init__(self, here: Path, market: Path, finished: Path, held: ExitStack) -> None:
        self.here, self.market, self.finished, self.held = here, market, finished, held

    def write(self, name: str, content: str | bytes) -> str:
        path = self.here / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def bars(self, change: Callable[[pd.DataFrame], pd.DataFrame], **how: object) -> str:
        table = change(pd.read_csv(self.market / "bars.csv"))
        table.to_csv(self.here / "bars.csv", index=False, **how)  # type: ignore[call-overload]
        return str(self.here / "bars.csv")

    def spans(self, **columns: list[object]) -> str:
        pd.DataFrame(columns).to_csv(self.here / "spans.csv", index=False)
        return str(self.here / "spans.csv")

    def train(self, *more: str, **given: str) -> list[str]:
        names = {
            "bars": self.market / "bars.csv",
            "spans": self.market / "spans.csv",
            "config": self.market / "quick.toml",
            "run": self.here / "run",
        }
        flags = [word for name, path in {**names, **given}.items() for word in (f"--{name}", str(path))]
        return ["train", *flags, *more]

    def predict(self, *more: str, bars: str | None = None, folder: Path | None = None) -> list[str]:
        bars = str(self.market / "bars.csv") if bars is None else bars
        out = [] if "--out" in more else ["--out", str(self.here / "out.csv")]
        return ["predict", bars, "--run", str(folder or self.finished), *out, *more]

    def copy(self, *, without: tuple[str, ...] = ("decision.json",)) -> Path:
        """A run that can be gone on with."""
        folder = self.here / "run"
        shutil.copytree(self.finished, folder)
        for name in without:
            (folder / name).unlink()
        return folder

    def checkpoint(self) -> Path:
        """The weights of the latest checkpoint of such a run."""
        return sorted((self.copy() / "checkpoints").glob("epoch_*"))[-1] / "model.safetensors"


Case = Callable[[Room], list[str]]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cell(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return change


def truncated_parquet(room: Room) -> list[str]:
    whole = room.here / "bars.parquet"
    pd.read_csv(room.market / "bars.csv").to_parquet(whole)
    whole.write_bytes(whole.read_bytes()[:-200])
    return room.train(bars=str(whole))


def damaged_checkpoint(room: Room) -> list[str]:
    flip(room.checkpoint())
    return ["resume", str(room.here / "run")]


def foreign_checkpoint(room: Room) -> list[str]:
    room.checkpoint().write_bytes(save({"somebody.elses": np.zeros(3, np.float32)}))
    return ["resume", str(room.here / "run")]


def foreign_weights(room: Room) -> list[str]:
    folder = room.copy(without=())
    (folder / "model" / "model.safetensors").write_bytes(save({"x": np.zeros(3, np.float32)}))
    return room.predict(folder=folder)


def damaged_weights(room: Room) -> list[str]:
    folder = room.copy(without=())
    flip(folder / "model" / "model.safetensors")
    return room.predict(folder=folder)


def other_features(room: Room) -> list[str]:
    folder = room.copy(without=())
    decision = json.loads((folder / "decision.json").read_text())
    (folder / "decision.json").write_text(json.dumps({**decision, "feature_set": "jade"}))
    return room.predict(folder=folder)


def folder_in_use(room: Room) -> list[str]:
    folder = room.copy()
    room.held.callback(FolderLock(folder).release)
    return ["resume", str(folder)]


def another_prediction(room: Room) -> list[str]:
    work = room.here / ".out.csv.work"
    work.mkdir()
    (work / "work.json").write_text(json.dumps({"schema_version": 1, "fingerprint": "another"}))
    return room.predict()


CASES: dict[str, tuple[Case, str]] = {
    # The command line itself.
    "command misspelt": (lambda room: ["trian"], 'Did you mean "train"'),
    "command of a command misspelt": (lambda room: ["journal", "trian"], 'Did you mean "train"'),
    "flag misspelt": (lambda room: room.predict("--detials", "d.csv"), "did you mean '--details'?"),
    "key without its table": (lambda room: ["demo", "--epochs", "3"], "did you mean '--fit.epochs'?"),
    "key where none is taken": (lambda room: room.predict("--fit.epochs", "3"), "takes no keys"),
    "key without a value": (lambda room: ["demo", "--fit.epochs"], "--fit.epochs: want a value"),
    "key given twice": (lambda room: ["demo", "--fit.seed", "1", "--fit.seed", "2"], "every setting once"),
    "flag missing": (lambda room: ["train", "--bars", "b.csv"], "--spans"),
    "flag of another type": (lambda room: ["doctor", "--steps", "many"], "many"),
    "shell unknown": (lambda room: ["completion", "bahs"], 'Did you mean "bash"'),
    "study unknown": (lambda room: ["study", "stal"], "did you mean 'stall'?"),
    "table unknown": (lambda room: ["settings", "fitt"], "did you mean 'fit'?"),
    # The configuration.
    "key misspelt": (
        lambda room: ["demo", "--fit.epoch", "3"],
        "--fit.epoch: no such key; did you mean 'fit.epochs'?",
    ),
    "key in the wrong table": (lambda room: ["demo", "--fit.hidden", "3"], "did you mean 'model.hidden'?"),
    "key misspelt in a file": (
        lambda room: room.train(config=room.write("c.toml", "[fit]\nepoch = 3\n")),
        "c.toml: fit.epoch: no such key; did you mean 'fit.epochs'?",
    ),
    "value of another type": (
        lambda room: ["demo", "--fit.epochs", "forty"],
        "want a whole number, got 'forty'",
    ),
    "number in quotes": (
        lambda room: room.train(config=room.write("c.toml", '[fit]\nepochs = "40"\n')),
        "fit.epochs: want a whole number, got '40'",
    ),
    "count with a point": (lambda room: ["demo", "--fit.epochs", "3.0"], "want a whole number, got 3.0"),
    "truth for a number": (lambda room: ["demo", "--fit.epochs", "true"], "want a whole number, got true"),
    "negative epochs": (
        lambda room: ["demo", "--fit.epochs", "-3"],
        "--fit.epochs: want greater than or equal to 1, got -3",
    ),
    "share out of range": (
        lambda room: ["demo", "--pretrain.ratio", "1.5"],
        "--pretrain.ratio: want less than 1",
    ),
    "balancer misspelt": (lambda room: ["demo", "--balancer.kind", "pcgrd"], "did you mean 'pcgrad'?"),
    "head misspelt": (
        lambda room: ["demo", "--model.heads.span.kind", "span_cfr"],
        "did you mean 'span_crf'?",
    ),
    "encoder misspelt": (lambda room: ["demo", "--model.encoder.kind", "lsmt"], "did you mean 'lstm'?"),
    "feature set misspelt": (lambda room: ["demo", "--data.feature_set", "jadee"], "did you mean 'jade'?"),
    "loss misspelt": (lambda room: ["demo", "--losses.span.kind", "dise"], "did you mean 'dice'?"),
    "key of another kind": (
        lambda room: ["demo", "--balancer.kind", "pcgrad", "--balancer.init", "auto"],
        "no such key of this kind; want kind",
    ),
    "recipe unknown": (lambda room: room.train(config="jade-bets"), "did you mean 'jade-best'?"),
    "recipe of a file unknown": (
        lambda room: room.train(config=room.write("c.toml", 'recipe = "expantion"\n')),
        "did you mean 'expansion'?",
    ),
    "no TOML": (lambda room: room.train(config=room.write("c.toml", "fit = [\n")), "c.toml"),
    "no UTF-8": (lambda room: room.train(config=room.write("c.toml", b"# \xff\xfe\n")), "want TOML in UTF-8"),
    "no such configuration": (lambda room: room.train(config="none.toml"), "none.toml"),
    "no GPU": (lambda room: room.train("--fit.device", "cuda"), "want CUDA on this machine"),
    "no GPU to predict with": (lambda room: room.predict("--device", "cuda"), "want CUDA on this machine"),
    "tracker not installed": (
        lambda room: room.train("--tracker", "wandb"),
        "pip install 'moola-train[wandb]'",
    ),
    "tracker misspelt": (lambda room: room.train("--tracker", "tensorbord"), "'tensorbord'"),
    # Bars.
    "no such bars": (lambda room: room.train(bars="none.csv"), "none.csv"),
    "bars of another kind": (lambda room: room.train(bars=room.write("bars.txt", "x")), "bars.txt"),
    "empty file": (lambda room: room.train(bars=room.write("bars.csv", "")), "bars.csv"),
    "header alone": (lambda room: room.train(bars=room.bars(lambda t: t[:0])), "no rows"),
    "semicolons": (lambda room: room.train(bars=room.bars(lambda t: t, sep=";")), "semicolons"),
    "truncated Parquet": (truncated_parquet, "bars.parquet"),
    "price missing": (lambda room: room.train(bars=room.bars(cell(7, "close", np.nan))), "row 7"),
    "time unsorted": (
        lambda room: room.train(bars=room.bars(lambda t: t.iloc[[1, 0, *range(2, 600)]])),
        "row 1",
    ),
    "time twice": (
        lambda room: room.train(bars=room.bars(lambda t: t.iloc[[0, 1, 1, *range(2, 600)]])),
        "row 2",
    ),
    "column missing": (lambda room: room.predict(bars=room.bars(lambda t: t.drop(columns="low"))), "low"),
    "fewer bars than a window": (lambda room: room.predict(bars=room.bars(lambda t: t[:10])), "got 10"),
    # Spans.
    "no such spans": (lambda room: room.train(spans="none.csv"), "none.csv"),
    "span outside the bars": (lambda room: room.train(spans=room.spans(start=[5], end=[600])), "row 0"),
    "span ends first": (lambda room: room.train(spans=room.spans(start=[9], end=[5])), "row 0"),
    "spans of another symbol": (
        lambda room: room.train(spans=room.spans(symbol=["ELSE"], start=[5], end=[9])),
        "ELSE",
    ),
    "spans without ends": (lambda room: room.train(spans=room.spans(start=[5])), "end"),
    "misspelt flag that is needed": (
        lambda room: ["train", "--bar", *room.train()[2:]],
        "--bars: wanted, got none; did you mean --bars instead of --bar?",
    ),
    # Runs.
    "no such run": (lambda room: ["doctor", str(room.here / "none")], "want the folder of a run"),
    "run that exists": (
        lambda room: room.train(run=str(room.copy(without=()))),
        "want a new or empty folder",
    ),
    "run in use": (folder_in_use, "in use"),
    "finished run to go on with": (lambda room: ["resume", str(room.finished)], "which is finished"),
    "unfinished run to predict with": (
        lambda room: room.predict(folder=room.copy()),
        "go on with: moola resume",
    ),
    "no run to predict with": (lambda room: room.predict(folder=room.here / "none"), "which is no folder"),
    "damaged checkpoint": (damaged_checkpoint, "sha256"),
    "foreign checkpoint": (foreign_checkpoint, "model.safetensors"),
    "damaged weights": (damaged_weights, "model.safetensors"),
    "foreign weights": (foreign_weights, "model.safetensors"),
    "features of another set": (other_features, "want the 12 features it was trained on"),
    "work of another prediction": (another_prediction, "delete it, or give --work another folder"),
    "no test part": (
        lambda room: room.train("--data.fractions", "[0.5, 0.5, 0.0]"),
        "three positive numbers",
    ),
    "a part without a window": (lambda room: room.train("--data.length", "590"), "want at least 1 block"),
    # Places to write to. A path below a file cannot be made by root either.
    "run below a file": (
        lambda room: room.train(run=room.write("file", "x") + "/run"),
        "file",
    ),
    "out below a file": (
        lambda room: room.predict("--out", room.write("file", "x") + "/out.csv"),
        "out: want a file in an existing folder",
    ),
    "out of another kind": (lambda room: room.predict("--out", "out.xlsx"), "want a .csv or .parquet file"),
    # Sweeps, walks and reports.
    "sweep over an unknown key": (
        lambda room: ["sweep", "jade-best", *room.train()[1:5], "--out", "s", "--grid", "fit.epoch=1,2"],
        "did you mean 'fit.epochs'?",
    ),
    "too many periods": (
        lambda room: ["walk-forward", *room.train()[1:5], "--out", "w", "--periods", "1000"],
        "too few",
    ),
    "no truth to evaluate": (
        lambda room: ["evaluate", "--truth", "none.csv", "--spans", "none.csv"],
        "none.csv",
    ),
}


def contents(*folders: Path) -> dict[Path, str]:
    """What lies in folders, byte for byte; locks excepted."""
    files = [path for folder in folders for path in folder.rglob("*") if path.name != ".lock"]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in files}


@pytest.fixture
def room(tmp_path: Path, market: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where the extra is not installed
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with ExitStack() as held:
        yield Room(tmp_path, market, finished, held)


@pytest.mark.parametrize("case", CASES)
def test_it_is_one_helpful_line_and_exit_code_2_and_nothing_is_touched(
    case: str, room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, wanted = CASES[case]
    command = prepare(room)
    before = contents(room.here, room.market, room.finished)
    assert run(command) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("moola")
    assert wanted in said.err
    assert said.out == ""
    assert contents(room.here, room.market, room.finished) == before
