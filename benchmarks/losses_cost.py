"""What a balancer costs: CPU time of a training step beside the plain sum's, in one interleaved run.

    uv run --no-project --python 3.11 --with ./packages/moola-losses \
        --with 'torchjd[quadprog_projector]==0.18.*' python benchmarks/losses_cost.py

One process and one thread run every row alternately in shuffled rounds, so that all rows meet the same
machine. The network is a bidirectional LSTM of 85,248 shared numbers over 105 bars with four heads. A row's
figure is the median of its CPU times a step over that of the plain sum; the second plain row says how much
noise a ratio carries. Rows that do something at some steps only run a whole period a round. The figures are
kept by ``--json packages/moola-losses/docs/cost.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from moola_losses.doctor import Doctor
from moola_losses.gradient_balancer import GradientBalancer
from moola_losses.registry import BUILT_IN, resolve_balancer

TASKS = ("type", "pointers", "span", "countdown")
BATCH, BARS, FEATURES, HIDDEN = 32, 105, 13, 96
Losses = dict[str, Tensor]


class Net(nn.Module):
    """The network of the brief: one BiLSTM, four small heads; the pooled ones have a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        width = 2 * HIDDEN
        self.kind = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 3))
        self.pointers = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 2), nn.Sigmoid())
        self.span = nn.Linear(width, 1)
        self.countdown = nn.Linear(width, 1)

    def losses(self, z: Tensor | dict[str, Tensor], y: dict[str, Tensor]) -> Losses:
        part = z if isinstance(z, dict) else dict.fromkeys(TASKS, z)
        return {
            "type": functional.cross_entropy(self.kind(part["type"].mean(1)), y["type"]),
            "pointers": functional.huber_loss(
                self.pointers(part["pointers"].mean(1)), y["pointers"], delta=0.08
            ),
            "span": functional.binary_cross_entropy_with_logits(self.span(part["span"])[..., 0], y["span"]),
            "countdown": functional.huber_loss(self.countdown(part["countdown"])[..., 0], y["countdown"]),
        }


def data() -> tuple[Tensor, dict[str, Tensor]]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(BATCH, BARS, FEATURES, generator=g), {
        "type": torch.randint(3, (BATCH,), generator=g),
        "pointers": torch.rand(BATCH, 2, generator=g),
        "span": (torch.rand(BATCH, BARS, generator=g) < 0.07).float() * 0.8 + 0.1,
        "countdown": torch.rand(BATCH, BARS, generator=g) * 4,
    }


X, Y = data()
SETTINGS: dict[str, dict[str, object]] = {
    "unit": {
        "norms": {"type": 0.3, "pointers": 0.003, "span": 0.02, "countdown": 0.2}
    },  # after its measurement
}
LEFT_OUT = ("every", "origin_z_score")
"""The first stands in rows of its own, the second has no gradient."""
Step = Callable[[], None]


def training(backward: Callable[[Net, Tensor, Losses], None]) -> Step:
    """A step of Adam whose middle, from the representation and losses to the gradients, is given."""
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        z = net.lstm(X)[0]
        backward(net, z, net.losses(z, Y))
        optimizer.step()

    return step


def plain() -> Step:
    return training(lambda _net, _z, losses: sum(losses.values()).backward())


def weighting(settings: dict[str, object]) -> Step:
    balancer = resolve_balancer(settings).build(TASKS)
    net = Net()
    groups = balancer.param_groups()
    optimizer = torch.optim.Adam([{"params": list(net.parameters())}, *groups], lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        z = net.lstm(X)[0]
        balancer.backward(net.losses(z, Y), shared=net.lstm.parameters())
        optimizer.step()
        if balancer.wants_after_step:
            with torch.no_grad():
                balancer.after_step(net.losses(net.lstm(X)[0], Y))

    return step


def gradients(settings: object, *, place: str) -> Step:
    balancer = resolve_balancer(settings).build(TASKS)
    if place == "shared":
        return training(lambda net, _z, losses: balancer.backward(losses, shared=net.lstm.parameters()))
    if place == "representation":
        return training(lambda _net, z, losses: balancer.backward(losses, representation=z))
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        split = balancer.split(net.lstm(X)[0])
        balancer.backward(net.losses(split.parts, Y), representation=split)
        optimizer.step()

    return step


def doctor(every: int) -> Step:
    watch = Doctor(TASKS, every=every)

    def backward(net: Net, _z: Tensor, losses: Losses) -> None:
        watch.observe(losses, shared=net.lstm.parameters())
        sum(losses.values()).backward()

    return training(backward)


def torchjd(name: str) -> Step:
    """Jacobian descent with TorchJD's aggregators; chunk size 1, for an LSTM has no batching rule."""
    from torchjd import aggregation
    from torchjd.autojac import jac_to_grad, mtl_backward

    aggregator = getattr(aggregation, name)()

    def backward(net: Net, z: Tensor, losses: Losses) -> None:
        mtl_backward(list(losses.values()), features=z, parallel_chunk_size=1)
        jac_to_grad(net.lstm.parameters(), aggregator)

    return training(backward)


def separate(project: bool) -> Step:
    """The way of LibMTL and most published code: a whole backward pass a task, gradients as flat vectors."""

    def backward(net: Net, _z: Tensor, losses: Losses) -> None:
        shared = list(net.lstm.parameters())
        rows = []
        for loss in losses.values():
            for p in shared:
                p.grad = None
            loss.backward(retain_graph=True)
            rows.append(torch.cat([p.grad.flatten() for p in shared]))
        grads = torch.stack(rows)
        if project:
            found = grads.clone()
            for i, row in enumerate(found):
                for j in torch.randperm(len(grads)).tolist():
                    product = row @ grads[j]
                    if j != i and product < 0:
                        row -= product / grads[j].square().sum() * grads[j]
            grads = found
        total = grads.sum(0)
        for p, piece in zip(shared, total.split([p.numel() for p in shared]), strict=True):
            p.grad = piece.view_as(p)

    return training(backward)


def rows() -> Iterator[tuple[str, str, float | None, int, Callable[[], Step]]]:
    """Gives group, name, highest allowed ratio, steps a round, and what builds the step."""
    yield "plain sum", "plain sum", None, 1, plain
    yield "plain sum", "plain sum (A/A)", None, 1, plain
    exact = []
    for kind in BUILT_IN:
        if kind in LEFT_OUT:
            continue
        if isinstance(resolve_balancer(kind).build(TASKS), GradientBalancer):
            exact.append(kind)
        elif kind == "famo":
            yield "FAMO, losses computed again", kind, 1.30, 1, lambda: weighting({"kind": "famo"})
        else:
            settings = {"kind": kind, **SETTINGS.get(kind, {})}
            yield "weights of losses", kind, 1.05, 1, lambda s=settings: weighting(s)
    for kind in exact:
        for place in ("representation", "split"):
            build = lambda k=kind, p=place: gradients(k, place=p)  # noqa: E731
            yield f"gradients at the representation ({place})", kind, 1.20, 1, build
    build = lambda: weighting({"kind": "famo", "refresh": "next_batch"})  # noqa: E731
    yield "FAMO, the next batch's losses", "famo", 1.05, 1, build
    for kind in ("gradscale", "gradnorm"):
        build = lambda k=kind: gradients({"kind": "every", "inner": k}, place="representation")  # noqa: E731
        yield "the same, weights made every 10 steps (representation)", kind, 1.05, 10, build
    for kind in ("upgrad", "mgda", "nash"):
        build = lambda k=kind: gradients({"kind": "every", "inner": k}, place="split")  # noqa: E731
        yield "the same, weights made every 10 steps (split)", kind, 1.05, 10, build
    build = lambda: gradients({"kind": "every", "inner": "upgrad"}, place="representation")  # noqa: E731
    yield "the same, with two walks through plain heads", "upgrad", None, 10, build
    for kind in exact:
        build = lambda k=kind: gradients(k, place="shared")  # noqa: E731
        yield "gradients of the shared parameters, exact", kind, 2.75, 1, build
    build = lambda: gradients({"kind": "every", "inner": "upgrad"}, place="shared")  # noqa: E731
    yield "the same, weights made every 10 steps", "upgrad", None, 10, build
    yield "doctor", "every 50 steps", 1.07, 50, lambda: doctor(50)
    for name in ("Sum", "PCGrad", "UPGrad", "MGDA", "AlignedMTL", "IMTLG", "ConFIG", "GradVac"):
        yield "TorchJD, chunk size 1", name, None, 1, lambda n=name: torchjd(n)
    yield "a backward pass a task (LibMTL's way)", "sum", None, 1, lambda: separate(False)
    yield "a backward pass a task (LibMTL's way)", "PCGrad", None, 1, lambda: separate(True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", default="", help="rows whose group or name contains this, and the plain ones"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [r for r in rows() if r[0] == "plain sum" or args.only in f"{r[0]} {r[1]}"]
    steps = [build() for *_, build in chosen]
    times: list[list[float]] = [[] for _ in chosen]
    order = random.Random(args.seed)
    for turn in range(args.rounds + 1):  # the first turn warms up
        for i in order.sample(range(len(chosen)), len(chosen)):
            # A long period says as much in few rounds as a short one in many.
            if chosen[i][3] > 10 and turn > max(3, args.rounds // 5):
                continue
            begin = time.process_time()
            for _ in range(chosen[i][3]):
                steps[i]()
            if turn:
                times[i].append((time.process_time() - begin) / chosen[i][3])
    base = statistics.median(times[0])
    found = [
        {
            "group": g,
            "row": n,
            "bar": bar,
            "median_ms": 1e3 * statistics.median(t),
            "ratio": statistics.median(t) / base,
        }
        for (g, n, bar, _, _), t in zip(chosen, times, strict=True)
    ]
    show(found, args.rounds)
    if args.json:
        about = {
            "machine": f"{platform.machine()}, Python {platform.python_version()}, one thread",
            "versions": {name: version(name) for name in ("torch", "moola-losses", "torchjd")},
            "rounds": args.rounds,
            "seed": args.seed,
            "rows": found,
        }
        args.json.write_text(json.dumps(about, indent=1) + "\n")
    return int(any(row["bar"] is not None and row["ratio"] > row["bar"] for row in found))


def show(found: list[dict], rounds: int) -> None:
    print(f"CPU time of a step, {rounds} shuffled rounds; plain sum {found[0]['median_ms']:.1f} ms\n")
    print("| group | row | times plain | at most |\n|---|---|---|---|")
    for row in found:
        bar = (
            "" if row["bar"] is None else f"{row['bar']:.2f}{'' if row['ratio'] <= row['bar'] else ' MISSED'}"
        )
        print(f"| {row['group']} | {row['row']} | {row['ratio']:.3f} | {bar} |")


if __name__ == "__main__":
    sys.exit(main())
