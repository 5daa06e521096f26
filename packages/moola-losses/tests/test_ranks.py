"""Two gloo processes, each with half of every batch: weightings stay equal, in both ways of use."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from moola_losses import ranks
from moola_losses.ranks import across_ranks, taken_from
from moola_losses.registry import BUILT_IN, resolve_balancer

TASKS = ("type", "pointers", "span", "countdown")
SETTINGS = {"unit": {"probe": 2}, "dwa": {"steps_per_epoch": 2}, "uncertainty": {"init": "auto"}}
KINDS = sorted(
    kind
    for kind, config in BUILT_IN.items()
    if kind != "origin_z_score" and resolve_balancer(kind).build(TASKS).claims.scalar
)
STEPS = 5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        own = torch.Generator().manual_seed(0)
        self.shared, self.heads = nn.Linear(5, 6), nn.Linear(6, 4)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=own)
        self.double()

    def forward(self, x):
        return self.heads(self.shared(x).tanh())


def train(kind, way, rank, world, *, absent=False):
    net = Net()
    model = nn.parallel.DistributedDataParallel(net) if world > 1 else net
    balancer = resolve_balancer({"kind": kind} | SETTINGS.get(kind, {})).build(TASKS)
    optimizer = torch.optim.SGD([{"params": net.parameters()}, *balancer.param_groups()], lr=1e-3)

    def losses(x, y):
        errors = (model(x) - y).square().mean(0)
        given = dict(zip(TASKS, (errors * torch.tensor([1.0, 0.01, 3.0, 100.0])).unbind(), strict=True))
        if absent and rank == 1:
            given["span"] = None
            return given | {"type": given["type"] + 0 * errors.sum()}  # DDP wants every parameter used
        return given

    for step in range(STEPS):
        own = torch.Generator().manual_seed(step)
        x, y = (torch.randn(8, w, generator=own, dtype=torch.float64)[rank::world] for w in (5, 4))
        optimizer.zero_grad()
        given = losses(x, y)
        if way == "call" and kind != "unit":
            balancer(given).backward()
        else:
            balancer.backward(given, shared=list(net.shared.parameters()))
        optimizer.step()
        if balancer.wants_after_step:
            with torch.no_grad():
                balancer.after_step(losses(x, y))
    return [p.detach() for p in net.parameters()] + list(balancer.state_dict().values())


def main(rank, folder):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = {(kind, way): train(kind, way, rank, 2) for kind in KINDS for way in ("call", "backward")}
    found |= {(kind, "absent"): train(kind, "call", rank, 2, absent=True) for kind in KINDS}
    torch.save({f"{kind} {way}": state for (kind, way), state in found.items()}, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    started = [subprocess.Popen([sys.executable, __file__, str(rank), str(folder)]) for rank in (0, 1)]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def bits(state):
    return [tensor.numpy().tobytes() for tensor in state]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["call", "backward", "absent"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_stay_identical(found, kind, way):
    one, other = (bits(rank[f"{kind} {way}"]) for rank in found)
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"unit"}))  # norms of halves are not those of the whole
def test_two_ranks_do_what_one_does_with_the_whole_batch(found, kind):
    for one, other in zip(train(kind, "call", 0, 1), found[0][f"{kind} call"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9, equal_nan=True)


def test_alone_nothing_is_exchanged():
    values = torch.tensor([3.0, 5.0])
    positions, same = across_ranks([0, 2], values, tasks=3)
    assert same is values
    assert positions == [0, 2]


def test_each_task_is_averaged_over_the_ranks_it_is_on(monkeypatch):
    def add_the_other_rank(sums):
        sums += torch.tensor([[0.0, 4.0, 7.0], [0.0, 1.0, 1.0]])

    monkeypatch.setattr(ranks, "ranks", lambda: 2)
    monkeypatch.setattr(ranks.distributed, "all_reduce", add_the_other_rank)
    positions, means = across_ranks([2], torch.tensor([3.0]), tasks=3)
    assert positions == [1, 2]
    assert means.tolist() == [4.0, 5.0]


def test_taking_is_by_position():
    weights = torch.tensor([1.0, 2.0, 3.0])
    assert taken_from(weights, [0, 2, 3], [2, 3]).tolist() == [2.0, 3.0]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
