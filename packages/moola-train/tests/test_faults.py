import json
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from moola_train import Callback, RunFolder, fit, read_records
from moola_train.checkpoint import read_checkpoint, write_checkpoint
from moola_train.records import WALL_CLOCK


def whole_checkpoints(folder):
    with RunFolder.open(folder) as run:
        return [read_checkpoint(path).state["epoch"] for path in run.saved()]


class At(Callback):
    """Does something at the end of one epoch."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            self.action()
        return ()


def run(small, folder, *callbacks, **changes):
    config = small.config(**({"epochs": 6} | changes))
    return fit(small.model(), small.data(), small.tasks, None, config, folder=folder, callbacks=callbacks)


def test_full_disk_while_a_checkpoint_is_written_is_an_error_and_earlier_ones_stay(
    small, tmp_path, monkeypatch
):
    def full(folder, snapshot):
        if snapshot.state["epoch"] == 3:
            monkeypatch.setattr(
                Path, "rename", lambda self, to: (_ for _ in ()).throw(OSError(28, "disk full"))
            )
        write_checkpoint(folder, snapshot)

    monkeypatch.setattr("moola_train.run_folder.write_checkpoint", full)
    with pytest.raises(OSError, match="disk full"):
        run(small, tmp_path / "run")
    monkeypatch.undo()
    assert whole_checkpoints(tmp_path / "run")[-1] == 2


FULL = """
    import resource, signal, sys
    sys.path.insert(0, sys.argv[1])
    from conftest import kind_loss, make_data, make_model, size_loss
    from moola_train import Callback, FitConfig, Task, fit

    class Fill(Callback):
        def on_epoch_end(self, state):
            if state.epoch == 3:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
            return ()

    tasks = (Task("kind", kind_loss, classes=3), Task("size", size_loss))
    config = FitConfig(epochs=6, batch_size=8, seed=3, learning_rate=0.01, device="cpu")
    try:
        fit(make_model(), make_data(), tasks, None, config, folder=sys.argv[2], callbacks=[Fill()])
    except OSError as error:
        print("OSError", error.errno)
"""


def test_file_size_limit_of_the_system_is_an_error_and_the_run_can_go_on_later(small, tmp_path):
    folder, here = tmp_path / "run", Path(__file__).parent
    command = [sys.executable, "-c", textwrap.dedent(FULL), here, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["OSError", "27"]
    # The checkpoint of epoch 2 may still have been on its way to the disk when the limit came.
    assert whole_checkpoints(folder)[-1] in (1, 2)
    config = small.config(epochs=6)
    model, straight = small.model(), small.model()
    fit(model, small.data(), small.tasks, None, config, folder=folder, resume=True)
    fit(straight, small.data(), small.tasks, None, config)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), straight.parameters(), strict=True))


def test_removed_folder_is_an_error(small, tmp_path):
    folder = tmp_path / "run"

    def remove():  # a checkpoint may be on its way and put files where they have just been removed
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=True)

    with pytest.raises(FileNotFoundError):
        run(small, folder, At(3, remove))


def test_checkpoints_made_read_only_are_an_error_and_stay(small, tmp_path, monkeypatch):
    def refused(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    with pytest.raises(PermissionError):
        run(small, tmp_path / "run", At(3, lambda: monkeypatch.setattr(Path, "mkdir", refused)))
    monkeypatch.undo()
    assert whole_checkpoints(tmp_path / "run")[-1] in (1, 2)  # that of epoch 2 may have been on its way


def test_damaged_checkpoint_names_the_one_before_which_counts_without_it(small, tmp_path):
    run(small, tmp_path / "run", keep_every=1)
    with RunFolder.open(tmp_path / "run") as folder:
        before, latest = folder.saved()[-2:]
        (latest / "model.safetensors").write_bytes(b"")
        with pytest.raises(ValueError, match=f"the run goes on from {before.name}$"):
            folder.latest()
        shutil.rmtree(latest)
        assert folder.latest().state == read_checkpoint(before).state
        for path in folder.saved()[:-1]:
            shutil.rmtree(path)
        (before / "model.safetensors").write_bytes(b"")
        with pytest.raises(ValueError, match=r"got 0$"):  # nothing to go on from
            folder.latest()


def test_clock_that_goes_back_changes_nothing_but_times(small, tmp_path, monkeypatch):
    wanted = [r for r in run(small, tmp_path / "a").records if r.name not in WALL_CLOCK]
    clock = iter(range(10**6, 0, -1))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    assert [r for r in run(small, tmp_path / "b").records if r.name not in WALL_CLOCK] == wanted


def test_second_process_on_the_folder_is_refused_while_the_first_runs(small, tmp_path):
    code = "import sys, moola_train; moola_train.RunFolder.open(sys.argv[1])"
    errors = []

    def other():
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        errors.append(subprocess.run(command, check=False, capture_output=True, text=True).stderr)

    run(small, tmp_path / "run", At(2, other), epochs=2)
    assert "BlockingIOError: folder: want" in errors[0]


KILLS = """
    import json, math, os, pathlib, random, shutil, signal, sys, time
    sys.path.insert(0, sys.argv[1])
    import torch
    from conftest import BALANCERS, kind_loss, make_data, make_model, size_loss
    from moola_train import Callback, FitConfig, RunFolder, Task, fit, read_records

    class Die(Callback):
        def __init__(self, step):
            self.step = step
        def on_backward(self, state):
            if state.step == self.step:
                os.kill(os.getpid(), signal.SIGKILL)
            return ()

    def go(job, *, folder, resume=False, die_at=0):
        tasks = (Task("kind", kind_loss, classes=3), Task("size", size_loss))
        config = FitConfig(**job["config"])
        balancer = BALANCERS[job["balancer"]](["kind", "size"])
        model = make_model(99 if resume else 1)
        where = {"folder": folder, "resume": resume, "callbacks": [Die(die_at)]}
        fit(model, make_data(), tasks, balancer, config, **where)

    def wait_and_look(child, folder):
        _, status = os.waitpid(child, 0)
        if not list(folder.glob("checkpoints/epoch_*")):
            shutil.rmtree(folder, ignore_errors=True)
            return False
        with RunFolder.open(folder) as run:
            latest = run.latest()
        epochs = {record.epoch for record in read_records(folder / "records.jsonl")}
        assert epochs >= set(range(1, latest.state["epoch"] + 1)), (epochs, latest.state["epoch"])
        return True

    for job in json.load(sys.stdin):
        straight, folder = pathlib.Path(job["straight"]), pathlib.Path(job["folder"])
        rng, resume = random.Random(job["seed"]), False
        per_epoch = math.ceil(56 / job["config"]["batch_size"])
        began = time.perf_counter()
        go(job, folder=straight)
        took = time.perf_counter() - began
        for kill in range(job["kills"]):
            step = rng.randrange(1, 6 * per_epoch + 1) if kill == 0 else 0
            child = os.fork()
            if child == 0:
                go(job, folder=folder, resume=resume, die_at=step)
                os._exit(0)
            if not step:
                time.sleep(rng.uniform(0.05, 0.9) * took)
                os.kill(child, signal.SIGKILL)
            resume = wait_and_look(child, folder)
            if step:
                finished = {r.epoch for r in read_records(folder / "records.jsonl")}
                assert finished == set(range(1, (step - 1) // per_epoch + 1)), (finished, step)
        go(job, folder=folder, resume=resume)
"""


def jobs(root, count, *, kills):
    made = []
    for i in range(count):
        config = {
            "epochs": 6,
            "batch_size": (8, 29, 32)[i % 3],
            "seed": i,
            "learning_rate": 0.01,
            "device": "cpu",
            "precision": ("fp32", "bf16", "fp16")[i // 3 % 3],
        }
        balancer = ("sigmas", "random", "moving")[(i + i // 3) % 3]
        job = {
            "config": config,
            "balancer": balancer,
            "seed": random.Random(i).randrange(10**6),
            "kills": kills,
        }
        made.append(job | {"straight": str(root / f"straight{i}"), "folder": str(root / f"killed{i}")})
    return made


def kill_and_compare(root, count, *, kills):
    made = jobs(root, count, kills=kills)
    command = [sys.executable, "-c", textwrap.dedent(KILLS), str(Path(__file__).parent)]
    subprocess.run(command, check=True, input=json.dumps(made), text=True)
    for job in made:
        straight, killed = Path(job["straight"]), Path(job["folder"])
        assert [p.name for p in sorted(straight.glob("checkpoints/epoch_*"))] == [
            p.name for p in sorted(killed.glob("checkpoints/epoch_*"))
        ]
        for path in straight.glob("checkpoints/epoch_*"):
            one, other = read_checkpoint(path), read_checkpoint(killed / "checkpoints" / path.name)
            for part, tensors in one.tensors.items():
                for name, tensor in tensors.items():
                    assert torch.equal(tensor, other.tensors[part][name]), (job, path.name, part, name)
        a, b = (
            [r for r in read_records(folder / "records.jsonl") if r.name not in WALL_CLOCK]
            for folder in (straight, killed)
        )
        assert a == b


def test_six_kills_at_random_steps_and_moments_lose_nothing(tmp_path):
    kill_and_compare(tmp_path, 3, kills=2)


@pytest.mark.slow
def test_a_hundred_kills_at_random_steps_and_moments_lose_nothing(tmp_path):
    kill_and_compare(tmp_path, 25, kills=4)
