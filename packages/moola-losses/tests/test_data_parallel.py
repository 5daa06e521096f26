"""Several processes that train together, each with its part of the batch."""

import copy
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from moola_losses import data_parallel, resolve_balancer

TASKS = ("type", "pointers", "span", "countdown")
ROUTES = ("shared", "representation", "split")
SETTINGS = (
    {"kind": "upgrad"},
    {"kind": "pcgrad"},
    {"kind": "nash"},
    {"kind": "gradscale"},
    {"kind": "gradnorm"},
    {"kind": "db_mtl"},
    {"kind": "every", "n": 2, "inner": {"kind": "mgda"}},
)
STEPS = 3


class Net(nn.Module):
    """An encoder and a head a task; `forward` holds all of both, as DistributedDataParallel wants it."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 6))
        self.readouts = nn.ModuleList([nn.Linear(6, 2) for _ in TASKS])
        self.double()
        generator = torch.Generator().manual_seed(0)  # the common one is no thread's own
        for p in self.parameters():
            nn.init.normal_(p, std=0.4, generator=generator)

    def forward(self, x, split=None):
        z = self.encoder(x).tanh()
        point = z if split is None else split(z)
        parts = dict.fromkeys(TASKS, z) if split is None else point.parts
        return point, {t: head(parts[t]) for t, head in zip(TASKS, self.readouts, strict=True)}


def batch(step):
    generator = torch.Generator().manual_seed(step)
    return tuple(torch.randn(8, w, generator=generator, dtype=torch.float64) for w in (5, 5))


def step(model, balancer, route, x, y, encoder):
    """One backward pass of a model on its part of a batch."""
    point, outputs = model(x, balancer.split if route == "split" else None)
    losses = {
        t: 10.0 ** (1 - k) * (outputs[t] - y[:, k : k + 2]).square().mean() for k, t in enumerate(TASKS)
    }
    given = {"shared": list(encoder.parameters())} if route == "shared" else {"representation": point}
    balancer.backward(losses, **given)


def train(route, settings, rank=0, ranks=1, wrap=None, average=None):
    """Trains a few steps on every `ranks`-th row; returns parameters, then the balancer's state."""
    net, balancer = Net(), resolve_balancer(settings).build(TASKS)
    model = net if wrap is None or route == "shared" else wrap(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for k in range(STEPS):
        x, y = (part[rank::ranks] for part in batch(k))
        optimizer.zero_grad()
        step(model, balancer, route, x, y, net.encoder)
        if average is not None and route != "shared":
            average(net)
        optimizer.step()
    return [p.detach().clone() for p in net.parameters()] + list(balancer.state_dict().values())


class Threads:
    """Stands for `torch.distributed`, with the ranks as threads of one process."""

    def __init__(self, ranks):
        self.ranks = ranks
        self.barrier = threading.Barrier(ranks, timeout=30)
        self.slots = {}

    def is_available(self):
        return True

    def is_initialized(self):
        return True

    def get_world_size(self):
        return self.ranks

    def all_reduce(self, tensor):
        self.slots[threading.get_ident()] = tensor.clone()
        self.barrier.wait()
        total = sum(self.slots[k] for k in sorted(self.slots))
        self.barrier.wait()
        tensor.copy_(total)

    def average(self, net):
        """What DistributedDataParallel does with the gradients."""
        for p in net.parameters():
            self.all_reduce(p.grad)
            p.grad /= self.ranks

    def run(self, work):
        """Runs work(rank) on all ranks and returns their results."""
        with ThreadPoolExecutor(self.ranks) as pool:
            return list(pool.map(work, range(self.ranks)))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s["kind"])
def test_two_ranks_do_what_one_process_does_with_the_whole_batch(monkeypatch, route, settings):
    wanted = train(route, settings)
    threads = Threads(2)
    monkeypatch.setattr(data_parallel, "distributed", threads)
    one, other = threads.run(lambda rank: train(route, settings, rank, 2, average=threads.average))
    for a, b, c in zip(one, other, wanted, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_allclose(a.numpy(), c.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("route", ROUTES)
def test_a_task_on_one_rank_only_is_refused_on_both(monkeypatch, route):
    threads, seen = Threads(2), []
    monkeypatch.setattr(data_parallel, "distributed", threads)

    def work(rank):
        net, balancer = Net(), resolve_balancer("upgrad").build(TASKS)
        point, outputs = net(batch(0)[0], balancer.split if route == "split" else None)
        losses = {t: v.square().mean() for t, v in outputs.items() if rank == 0 or t != "span"}
        given = {"shared": list(net.encoder.parameters())} if route == "shared" else {"representation": point}
        try:
            balancer.backward(losses, **given)
        except ValueError as error:
            seen.append(str(error))

    threads.run(work)
    assert seen == ["losses: want the same tasks on every rank, got 'span' on 50% of them"] * 2


def test_means_over_ranks_keep_shapes_and_types(monkeypatch):
    threads = Threads(2)
    monkeypatch.setattr(data_parallel, "distributed", threads)

    def work(rank):
        given = [torch.full((2, 3), 1.0 + rank), torch.tensor(rank, dtype=torch.float64), torch.zeros(4)]
        return data_parallel.mean_over_ranks(given)

    for found in threads.run(work):
        wanted = [torch.full((2, 3), 1.5), torch.tensor(0.5, dtype=torch.float64), torch.zeros(4)]
        assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(found, wanted, strict=True))


def test_without_ranks_means_are_the_tensors_themselves():
    given = [torch.ones(2), torch.zeros(1)]
    assert all(a is b for a, b in zip(data_parallel.mean_over_ranks(given), given, strict=True))


@pytest.mark.slow
def test_two_gloo_processes_stay_identical(tmp_path):
    """DistributedDataParallel at a representation, the plain module with shared parameters."""
    command = [sys.executable, "-W", "ignore", __file__, str(tmp_path)]
    children = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [child.wait(timeout=300) for child in children] == [0, 0]
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert one.keys() == other.keys()
    for key, values in one.items():
        for a, b in zip(values, other[key], strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=str(key))
        route, k = key.split(" ")
        alone = train(route, SETTINGS[int(k)])
        for a, c in zip(values, alone, strict=True):
            np.testing.assert_allclose(a.numpy(), c.numpy(), rtol=1e-9, atol=1e-12, err_msg=str(key))


def main(folder, rank):
    """One of the two processes."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {}
    for route in ROUTES:
        for k, settings in enumerate(SETTINGS):
            wrap = nn.parallel.DistributedDataParallel
            found[f"{route} {k}"] = copy.deepcopy(train(route, settings, rank, 2, wrap=wrap))
    torch.save(found, Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
