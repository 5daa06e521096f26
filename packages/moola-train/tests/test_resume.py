import json
import os
import signal

import pytest
import torch

from moola_train import Callback, Row, RunFolder, best_checkpoint, fit, read_records
from moola_train.checkpoint import read_checkpoint
from moola_train.records import WALL_CLOCK


class Norms(Callback):
    """A callback with rows from inside an epoch and random numbers at its end."""

    def on_backward(self, state):
        return [Row("", "first", state.losses["size"])] if state.batch == 1 else []

    def on_epoch_end(self, state):
        return [Row("", "draw", float(torch.rand(())))]


def exact(records):
    return [r for r in records if r.name not in WALL_CLOCK]


def assert_same_runs(folder_a, folder_b):
    """Weights, moments, balancer, random state, sums, counters and records: equal bit for bit."""
    with RunFolder.open(folder_a) as a, RunFolder.open(folder_b) as b:
        assert [p.name for p in a.saved()] == [p.name for p in b.saved()]
        for path_a, path_b in zip(a.saved(), b.saved(), strict=True):
            one, other = read_checkpoint(path_a), read_checkpoint(path_b)
            clock = {"records_size"}  # times have more or fewer digits
            assert {k: v for k, v in one.state.items() if k not in clock} == {
                k: v for k, v in other.state.items() if k not in clock
            }
            for part, tensors in one.tensors.items():
                assert tensors.keys() == other.tensors[part].keys()
                for name, tensor in tensors.items():
                    assert torch.equal(tensor, other.tensors[part][name]), (path_a.name, part, name)
    assert exact(read_records(folder_a / "records.jsonl")) == exact(read_records(folder_b / "records.jsonl"))


@pytest.mark.parametrize("batch_size", [8, 29, 32])
def test_resumed_run_equals_the_straight_one(small, tmp_path, batch_size):
    straight, model = tmp_path / "straight", small.model()
    config = small.config(epochs=5, batch_size=batch_size)
    fit(model, small.data(), small.tasks, small.balancer(), config, folder=straight, callbacks=[Norms()])
    halves = tmp_path / "halves"
    for epochs, resume in ((2, False), (5, True)):
        again = small.model(seed=1 if not resume else 99)
        stage = small.config(epochs=epochs, batch_size=batch_size)
        result = fit(
            again,
            small.data(),
            small.tasks,
            small.balancer(),
            stage,
            folder=halves,
            callbacks=[Norms()],
            resume=resume,
        )
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert_same_runs(straight, halves)
    assert exact(result.records) == exact(read_records(straight / "records.jsonl"))


class StopAt(Callback):
    """Sends this process a signal at one step."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    def on_backward(self, state):
        if state.step == self.step:
            os.kill(os.getpid(), self.number)
        return ()


@pytest.mark.parametrize("step", [1, 7, 10, 14, 17])
def test_interrupted_at_any_step_resumes_exactly(small, tmp_path, step):
    straight, model = tmp_path / "straight", small.model()
    fit(
        model,
        small.data(),
        small.tasks,
        small.balancer(),
        small.config(),
        folder=straight,
        callbacks=[Norms()],
    )
    halves = tmp_path / "halves"
    number = signal.SIGINT if step % 2 else signal.SIGTERM
    with pytest.raises(KeyboardInterrupt, match=rf"{number.name} at step {step} .*saved"):
        fit(
            small.model(),
            small.data(),
            small.tasks,
            small.balancer(),
            small.config(),
            folder=halves,
            callbacks=[Norms(), StopAt(step, number)],
        )
    again = small.model(seed=99)
    fit(
        again,
        small.data(),
        small.tasks,
        small.balancer(),
        small.config(),
        folder=halves,
        callbacks=[Norms()],
        resume=True,
    )
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert_same_runs(straight, halves)


EXTRAS = {
    "averaging": {"averaging": {"decay": 0.9, "from_epoch": 2}},
    "fp16": {"precision": "fp16"},
    "bf16 in pieces": {"precision": "bf16", "micro_batch_size": 3},
    "plateau": {"schedule": {"kind": "plateau", "patience": 1}, "min_delta": 0.5},
    "cosine": {"schedule": {"kind": "cosine", "warmup_steps": 9}, "clip_norm": 0.1},
    "guard read once an epoch": {"non_finite_check": "epoch"},
    "skipping": {"non_finite": "skip"},
}


@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)
def test_interrupted_run_with_extras_resumes_exactly(small, tmp_path, extra):
    config, straight, halves = small.config(**extra), tmp_path / "straight", tmp_path / "halves"
    model, again = small.model(), small.model(seed=99)
    run = {"callbacks": [Norms()]}
    fit(model, small.data(), small.tasks, small.balancer(), config, folder=straight, **run)
    stop = {"callbacks": [Norms(), StopAt(17, signal.SIGTERM)]}
    with pytest.raises(KeyboardInterrupt):
        fit(small.model(), small.data(), small.tasks, small.balancer(), config, folder=halves, **stop)
    fit(again, small.data(), small.tasks, small.balancer(), config, folder=halves, resume=True, **run)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert_same_runs(straight, halves)


def test_epochs_may_not_change_under_a_schedule_that_depends_on_them(small, tmp_path):
    schedule = {"schedule": {"kind": "cosine"}}
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1, **schedule), folder=tmp_path)
    config = small.config(epochs=2, **schedule)
    with pytest.raises(ValueError, match="config: want epochs=1"):
        fit(small.model(), small.data(), small.tasks, None, config, folder=tmp_path, resume=True)


def test_signal_handlers_are_restored(small, tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_records_after_the_checkpoint_are_cut_back(small, tmp_path):
    folder = tmp_path / "run"
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=2), folder=folder)
    whole = (folder / "records.jsonl").read_bytes()
    with (folder / "records.jsonl").open("ab") as file:
        file.write(whole[:300] + b'{"torn')
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=3), folder=folder, resume=True)
    records = read_records(folder / "records.jsonl")
    per_epoch = [sum(r.epoch == e for r in records) for e in (1, 2, 3)]
    assert len(set(per_epoch)) == 1


def test_finished_run_resumed_does_nothing(small, tmp_path):
    folder, config = tmp_path / "run", small.config(epochs=2)
    model, again = small.model(), small.model(seed=99)
    first = fit(model, small.data(), small.tasks, None, config, folder=folder)
    second = fit(again, small.data(), small.tasks, None, config, folder=folder, resume=True)
    assert second == first
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"learning_rate": 0.5}}, "config: want learning_rate=0.01 as when saved, got 0.5"),
        ({"tasks": 1}, "tasks: want"),
    ],
)
def test_resume_with_other_settings_is_refused(small, tmp_path, change, message):
    folder = tmp_path / "run"
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1), folder=folder)
    config = small.config(epochs=2, **change.get("config", {}))
    tasks = small.tasks[: change.get("tasks", 2)]
    with pytest.raises(ValueError, match=message):
        fit(small.model(), small.data(), tasks, None, config, folder=folder, resume=True)


def test_resume_on_other_data_is_refused(small, tmp_path):
    folder, data = tmp_path / "run", small.data()
    data.fingerprint = "one"
    fit(small.model(), data, small.tasks, None, small.config(epochs=1), folder=folder)
    data.fingerprint = "another"
    with pytest.raises(ValueError, match="fingerprint: want 'one'"):
        fit(small.model(), data, small.tasks, None, small.config(epochs=2), folder=folder, resume=True)


def test_damaged_latest_checkpoint_is_an_error_not_a_step_back(small, tmp_path):
    folder = tmp_path / "run"
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=2), folder=folder)
    path = folder / "checkpoints" / "epoch_0002" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"epoch_0002: model\.safetensors: want \d+ bytes"):
        fit(small.model(), small.data(), small.tasks, None, small.config(), folder=folder, resume=True)


def test_folder_that_is_not_empty_is_refused(small, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"'notes\.txt' in it"):
        fit(small.model(), small.data(), small.tasks, None, small.config(), folder=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt"]


def test_folder_without_a_run_cannot_be_resumed(small, tmp_path):
    with pytest.raises(FileNotFoundError, match="want one with checkpoints"):
        fit(
            small.model(),
            small.data(),
            small.tasks,
            None,
            small.config(),
            folder=tmp_path / "no",
            resume=True,
        )
    assert not (tmp_path / "no").exists()


def test_caller_may_hold_the_folder_and_keep_files_beside(small, tmp_path):
    with RunFolder.create(tmp_path / "run") as folder:
        (folder.path / "config.toml").write_text("mine = true")
        fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1), folder=folder)
        with pytest.raises(FileExistsError, match="want one without a run"):
            fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1), folder=folder)
    assert (tmp_path / "run" / "config.toml").read_text() == "mine = true"


def test_one_run_a_folder(small, tmp_path):
    with RunFolder.create(tmp_path / "run"), pytest.raises(BlockingIOError, match="one run alone"):
        fit(small.model(), small.data(), small.tasks, None, small.config(), folder=tmp_path / "run")


def test_periodic_best_and_latest_checkpoints_stay(small, tmp_path):
    values = iter([5.0, 4.0, 3.0, 9.0, 9.0, 9.0, 9.0])
    config = small.config(epochs=7, keep_every=2, selection="x")
    result = fit(
        small.model(),
        small.data(),
        small.tasks,
        None,
        config,
        folder=tmp_path,
        select=lambda m, s: {"x": next(values)},
    )
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.json", "epoch_0002", "epoch_0003", "epoch_0004", "epoch_0006", "epoch_0007"]
    assert result.best_checkpoint == best_checkpoint(tmp_path) == tmp_path / "checkpoints" / "epoch_0003"
    pointer = json.loads((tmp_path / "checkpoints" / "best.json").read_text())
    assert pointer == {"schema_version": 1, "checkpoint": "epoch_0003", "metric": "x", "value": 3.0}


def test_kill_before_the_tidying_up_leaves_nothing_behind_after_resume(small, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "prune", lambda self, **which: None)
        fit(small.model(), small.data(), small.tasks, None, small.config(), folder=tmp_path)
    assert len(list(tmp_path.glob("checkpoints/epoch_*"))) == 5
    fit(small.model(), small.data(), small.tasks, None, small.config(), folder=tmp_path, resume=True)
    best = best_checkpoint(tmp_path).name
    assert {p.name for p in tmp_path.glob("checkpoints/epoch_*")} == {best, "epoch_0004"}


def test_stale_temporaries_are_swept(small, tmp_path):
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1), folder=tmp_path)
    stale = tmp_path / "checkpoints" / ".tmp-epoch_0002"
    stale.mkdir()
    (stale / "model.safetensors").write_bytes(b"half")
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=2), folder=tmp_path, resume=True)
    assert not list((tmp_path / "checkpoints").glob(".tmp-*"))


def test_nan_leaves_the_last_good_checkpoint(small, tmp_path):
    class Poison(Callback):
        def on_backward(self, state):
            if state.step == 10:
                next(iter(state.model.parameters())).grad.fill_(torch.nan)
            return ()

    with pytest.raises(FloatingPointError):
        fit(
            small.model(),
            small.data(),
            small.tasks,
            None,
            small.config(),
            folder=tmp_path,
            callbacks=[Poison()],
        )
    with RunFolder.open(tmp_path) as folder:
        snapshot = folder.latest()
    assert snapshot.state["epoch"] == 1
    assert all(t.isfinite().all() for t in snapshot.tensors["model"].values())
