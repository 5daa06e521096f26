"""Two processes over gloo against one, with unequal masks and a short last batch."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

WORKER = """
    import os, signal, sys
    sys.path.insert(0, sys.argv[1])
    import torch
    from conftest import GRADIENT_BALANCERS, LogSigmas, make_data, make_model, kind_loss, size_loss
    from moola_train import Callback, FitConfig, Task, fit

    out, kinds, job = sys.argv[2:5]
    tasks = (Task("kind", kind_loss, classes=3), Task("size", size_loss))
    data = make_data().double()
    if job == "one known":
        data.masks["size"] = torch.arange(70) % 9 == 0  # some ranks see none in a batch
    dropout = 0.3 if "dropout" in job else 0.0
    seed = 1 + int(os.environ.get("RANK", 0))
    models = {k: make_model(seed, dropout=dropout).double() for k in kinds.split(",")}
    names = ["kind", "size"]
    made = {"sum": lambda: None, "sigmas": lambda: LogSigmas(names).double()}
    made |= {n: (lambda n=n: GRADIENT_BALANCERS[n](names)) for n in GRADIENT_BALANCERS}
    settings = {"epochs": 17, "batch_size": 19, "seed": 3, "learning_rate": 0.01, "device": "cpu"}
    settings |= {"restore": "last", "clip_norm": 1.0, "shared": ("trunk.*", "norm.*")}

    class Once(Callback):
        def __init__(self, rank, step, action):
            self.rank, self.step, self.action = rank, step, action
        def on_backward(self, state):
            if (state.rank, state.step) == (self.rank, self.step):
                self.action()
            return ()

    callbacks, where = [], {}
    if job == "kill":
        callbacks = [Once(1, 20, lambda: os.kill(os.getpid(), signal.SIGKILL))]
        where = {"folder": out + "/run"}
    if job == "error":
        callbacks = [Once(1, 20, lambda: [][0])]
    if job == "dropout stop":
        where = {"folder": out + "/run", "resume": os.path.exists(out + "/run/checkpoints")}
        if not where["resume"]:
            callbacks = [Once(1, 21, lambda: os.kill(os.getpid(), signal.SIGTERM))]
    if job == "memory":
        model = models[kinds]
        inner = model.forward
        rank = int(os.environ.get("RANK", 0))
        def forward(x):
            if len(x) > 5 and rank == 1 and model.training:
                raise torch.OutOfMemoryError("simulated")
            return inner(x)
        model.forward = forward
    for kind, model in models.items():
        balancer = made[kind]()
        fit(model, data, tasks, balancer, FitConfig(**settings), callbacks=callbacks, **where)
        both = [m for m in (model, balancer) if m is not None]
        flat = torch.cat([p.detach().flatten() for m in both for p in m.parameters()])
        torch.save(flat, f"{out}/{kind} {os.environ.get('RANK', 0)}.pt")
"""


def start(folder, kind, job="plain", *, ranks=2):
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(WORKER),
        str(Path(__file__).parent),
        str(folder),
        kind,
        job,
    ]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(ranks),
        "OMP_NUM_THREADS": "1",
    }
    started = []
    for rank in range(ranks):
        env = {**os.environ, **shared, "RANK": str(rank)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=env, **pipes))
    return started


def finish(started, timeout=300):
    said = [process.communicate(timeout=timeout)[1] for process in started]
    return [process.returncode for process in started], said


def weights(folder, kinds, job="plain", *, ranks=2):
    codes, said = finish(start(folder, kinds, job, ranks=ranks))
    assert not any(codes), said
    read = {(k, r): folder / f"{k} {r}.pt" for k in kinds.split(",") for r in range(ranks)}
    return {key: torch.load(path, weights_only=True) for key, path in read.items()}


def test_two_ranks_equal_one_process_after_fifty_steps(tmp_path):
    kinds = "sum,sigmas,dual parameters,dual representation"
    two = weights(tmp_path / "two", kinds, "one known")
    one = weights(tmp_path / "one", kinds, "one known", ranks=1)
    for kind in kinds.split(","):
        assert torch.equal(two[kind, 0], two[kind, 1])
        torch.testing.assert_close(two[kind, 0], one[kind, 0], rtol=0, atol=1e-9)
        assert not torch.equal(two[kind, 0], one[kind, 0])  # two ranks did add up in another order


@pytest.mark.slow
def test_two_ranks_interrupted_at_one_of_them_resume_bitwise(tmp_path):
    straight = weights(tmp_path / "straight", "sigmas", "dropout")
    halves = tmp_path / "halves"
    codes, said = finish(start(halves, "sigmas", "dropout stop"))
    assert all(codes), codes
    assert all("SIGTERM at step 21" in text for text in said), said
    both = weights(halves, "sigmas", "dropout stop")
    assert all(torch.equal(both[key], straight[key]) for key in straight)


@pytest.mark.slow
def test_rank_out_of_memory_makes_all_ranks_halve_their_pieces(tmp_path):
    both = weights(tmp_path / "memory", "sigmas", "memory")
    alone = weights(tmp_path / "one", "sigmas", ranks=1)["sigmas", 0]
    assert torch.equal(both["sigmas", 0], both["sigmas", 1])
    torch.testing.assert_close(both["sigmas", 0], alone, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_killed_rank_ends_the_others_with_a_message(tmp_path):
    started = start(tmp_path / "kill", "sum", "kill")
    assert started[1].wait(timeout=300) == -signal.SIGKILL
    died = time.monotonic()
    said = started[0].communicate(timeout=60)[1]
    assert time.monotonic() - died < 30  # a deadline that is promised, not a speed
    assert started[0].returncode == 1
    assert "rank 0: want" in said, said
    assert "resume from the latest checkpoint" in said
    started[1].communicate()


@pytest.mark.slow
def test_rank_that_fails_ends_the_others(tmp_path):
    codes, said = finish(start(tmp_path / "error", "sum", "error"), timeout=60)
    assert codes == [1, 1]
    assert "IndexError" in said[1]
    assert "rank 0: " in said[0]


@pytest.mark.slow
def test_torchrun_starts_the_same_run(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(WORKER))
    (tmp_path / "out").mkdir()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    job = [str(script), str(Path(__file__).parent), str(tmp_path / "out"), "sigmas", "plain"]
    subprocess.run([*launcher, *job], check=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    launched = torch.load(tmp_path / "out" / "sigmas 1.pt", weights_only=True)
    assert torch.equal(launched, weights(tmp_path / "own", "sigmas")["sigmas", 0])
