"""Trackers get each epoch's records once, in one batch, and a missing extra is named."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from moola_train import Callback, Row, fit
from moola_train.records import read_records
from moola_train.trackers import BUILT_IN, make_tracker, tag


class Undefined(Callback):
    def on_epoch_end(self, state):
        return [Row("", "undefined", math.nan)]


class Client:
    """In the place of MLflow's; its store is a class attribute, as the real one's is a folder."""

    runs: dict[str, list[list[tuple[str, float, int]]]] = {}
    ended: list[str] = []

    def __init__(self, *, tracking_uri):
        assert tracking_uri.startswith("file:")

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return "1"

    def create_run(self, experiment, *, run_name):
        name = f"run{len(self.runs)}"
        self.runs[name] = []
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    def log_batch(self, run, *, metrics):
        self.runs[run].append(metrics)

    def set_terminated(self, run):
        self.ended.append(run)


class Writer:
    made: list[Writer] = []

    def __init__(self, folder, *, purge_step):
        self.folder, self.purge_step, self.scalars, self.flushes = folder, purge_step, [], 0
        self.made.append(self)

    def add_scalar(self, name, value, *, global_step):
        self.scalars.append((name, value, global_step))

    def flush(self):
        self.flushes += 1


class Wandb(ModuleType):
    def __init__(self):
        super().__init__("wandb")
        self.given, self.rows, self.finished = [], [], 0

    def init(self, **given):
        self.given.append(given)
        return self

    def log(self, values, *, step):
        self.rows.append((step, values))

    def finish(self):
        self.finished += 1


@pytest.fixture
def fakes(monkeypatch):
    Client.runs, Client.ended, Writer.made = {}, [], []
    tracking, entities = ModuleType("mlflow.tracking"), ModuleType("mlflow.entities")
    tracking.MlflowClient = Client
    entities.Metric = lambda name, value, time, step: (name, value, step)
    board = ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = Writer
    modules = {
        "mlflow": ModuleType("mlflow"),
        "mlflow.tracking": tracking,
        "mlflow.entities": entities,
        "tensorboard": ModuleType("tensorboard"),
        "torch.utils.tensorboard": board,
        "wandb": Wandb(),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return SimpleNamespace(wandb=modules["wandb"])


def trained(small, folder: Path, kind: str, *, epochs: int = 3, resume: bool = False) -> list:
    """Trains with a tracker and returns what the records hold, as (series, value, step)."""
    fit(
        small.model(),
        small.data(),
        small.tasks,
        small.balancer(),
        small.config(epochs=epochs),
        folder=folder,
        callbacks=[Undefined(), make_tracker(kind, folder)],
        resume=resume,
    )
    records = read_records(folder / "records.jsonl")
    return [(tag(r), math.nan if r.value is None else r.value, r.step) for r in records]


def same(found, wanted) -> bool:
    return [(n, s) for n, _, s in found] == [(n, s) for n, _, s in wanted] and all(
        a == b or (math.isnan(a) and math.isnan(b))
        for (_, a, _), (_, b, _) in zip(found, wanted, strict=True)
    )


def test_mlflow_gets_one_batch_an_epoch_with_every_record(small, fakes, tmp_path):
    wanted = trained(small, tmp_path / "run", "mlflow")
    [(name, batches)] = Client.runs.items()
    assert len(batches) == 3
    assert same([m for batch in batches for m in batch], wanted)
    assert Client.ended == [name]


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(small, fakes, tmp_path):
    trained(small, tmp_path / "run", "mlflow")
    (tmp_path / "run" / "mlflow_run.txt").read_text()
    trained(small, tmp_path / "run", "mlflow", resume=True)
    assert len(Client.runs) == 1


def test_a_batch_of_mlflow_holds_a_thousand_metrics_at_most(small, fakes, tmp_path):
    class Many(Callback):
        def on_epoch_end(self, state):
            return [Row("", f"n{i}", i) for i in range(1500)]

    callbacks = [Many(), make_tracker("mlflow", tmp_path / "run")]
    (tmp_path / "run").mkdir()
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1), callbacks=callbacks)
    [batches] = Client.runs.values()
    assert [len(batch) <= 1000 for batch in batches] == [True, True]
    assert sum(map(len, batches)) > 1500


def test_tensorboard_gets_every_record_at_its_step_and_is_flushed_each_epoch(small, fakes, tmp_path):
    wanted = trained(small, tmp_path / "run", "tensorboard")
    [writer] = Writer.made
    assert writer.flushes == 3
    assert writer.purge_step == min(step for _, _, step in wanted)
    assert same(writer.scalars, wanted)


def test_wandb_is_offline_and_gets_one_call_a_step_that_has_records(small, fakes, tmp_path):
    wanted = trained(small, tmp_path / "run", "wandb")
    [given] = fakes.wandb.given
    assert given["mode"] == "offline"
    assert fakes.wandb.finished == 1
    steps = [step for step, _ in fakes.wandb.rows]
    assert steps == sorted(set(steps))
    found = [(name, value, step) for step, values in fakes.wandb.rows for name, value in values.items()]
    assert same(sorted(found, key=lambda f: (f[2], f[0])), sorted(wanted, key=lambda f: (f[2], f[0])))


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_only_the_first_rank_tracks(kind, fakes, tmp_path):
    state = SimpleNamespace(rank=1, records=(object(),), epoch=1, epochs=1)
    assert list(make_tracker(kind, tmp_path).on_epoch_end(state)) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_a_missing_extra_is_named(kind, monkeypatch, tmp_path):
    for module in ("tensorboard", "mlflow", "mlflow.tracking", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"pip install 'moola-train\[{kind}\]'"):
        make_tracker(kind, tmp_path)


def test_an_unknown_kind_lists_those_that_there_are(tmp_path):
    with pytest.raises(ValueError, match="mlflow, tensorboard, wandb, got 'magic'"):
        make_tracker("magic", tmp_path)


def test_another_package_offers_a_tracker_by_entry_point(monkeypatch, tmp_path):
    class Mine(Callback):
        def __init__(self, folder):
            self.folder = folder

    for found, fits in ((Mine, True), (3, False), (SimpleNamespace, False)):
        point = SimpleNamespace(name="mine", load=lambda found=found: found)
        monkeypatch.setattr("moola_train.trackers.entry_points", lambda *, group, point=point: [point])
        if fits:
            assert make_tracker("mine", tmp_path).folder == tmp_path
        else:
            with pytest.raises(TypeError):
                make_tracker("mine", tmp_path)
