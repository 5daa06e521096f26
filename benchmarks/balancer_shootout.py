"""Every balancer on two small problems with known single-task optima; writes the table, whatever it shows.

    nice -n 10 python benchmarks/balancer_shootout.py   # five minutes on one core; goes on where it stopped

Needs moola-losses only. Both problems draw a fresh batch at every step, so nothing can be overfitted and the
optimum is known: the noise of the targets, or their entropy.

* scales: a teacher network with four heads, learnt by a wider student, so that all optima can be had at once.
  The losses are of four kinds whose gradients differ widely: squared error in a large unit (countdown), Huber
  with a small delta (pointers), cross-entropy (type), binary cross-entropy of soft targets, nearly all of it
  entropy (span).
* conflict: four linear tasks through a linear layer of two numbers. Any two tasks fit, four do not: what one
  gains another loses, and their units differ 100 times.

Every run has the same model, batches, Adam, learning rate and number of steps; balancers have their defaults.
A task's figure is the share of what could be learnt that it missed, (loss - optimum) / (constant - optimum)
on a large held-out draw with the best constant output: 0 is perfect, 1 nothing learnt. "tuned static" is the
best of 24 drawn sets of weights by the mean share on seeds that are not reported: it cost 24 times others.
Figures are means over five seeds of 200 steps; the deviation is that of the mean over tasks between seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from moola_losses.balancer import Balancer
from moola_losses.gradient_balancer import GradientBalancer
from moola_losses.registry import BUILT_IN, resolve_balancer

TASKS = ("countdown", "pointers", "type", "span")
SEEDS, TUNING_SEEDS, DRAWS = range(5), (100, 101), 24
STEPS, BATCH, RATE, HELD_OUT = 200, 64, 1e-2, 4096
DOCS = Path(__file__).parents[1] / "packages" / "moola-losses" / "docs"
Losses = dict[str, Tensor]


class Scales:
    """A teacher and four kinds of losses."""

    unit, delta = 10.0, 0.08

    def __init__(self, seed: int) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.encoder = torch.randn(8, 6, generator=self.draw) / 8**0.5
        self.readout = [torch.randn(6, n, generator=self.draw) for n in (1, 1, 3, 1)]

    def student(self) -> tuple[nn.Module, nn.ModuleList]:
        return nn.Sequential(nn.Linear(8, 32), nn.Tanh()), nn.ModuleList(
            nn.Linear(32, n) for n in (1, 1, 3, 1)
        )

    def batch(self, n: int) -> tuple[Tensor, list[Tensor]]:
        x = torch.randn(n, 8, generator=self.draw)
        a, b, c, d = (torch.tanh(1.5 * x @ self.encoder) @ w for w in self.readout)
        noise = 0.3 * torch.randn(n, 2, generator=self.draw)
        c = torch.multinomial(c.softmax(1), 1, generator=self.draw)[:, 0]
        return x, [
            self.unit * (a[:, 0] + noise[:, 0]),
            0.1 * (b[:, 0] + noise[:, 1]),
            c,
            (0.25 * d[:, 0]).sigmoid(),
        ]

    def losses(self, out: list[Tensor], y: list[Tensor]) -> Losses:
        values = (
            functional.mse_loss(out[0][:, 0], y[0]),
            functional.huber_loss(out[1][:, 0], y[1], delta=self.delta),
            functional.cross_entropy(out[2], y[2]),
            functional.binary_cross_entropy_with_logits(out[3][:, 0], y[3]),
        )
        return dict(zip(TASKS, values, strict=True))

    def bounds(self, x: Tensor, y: list[Tensor]) -> tuple[Losses, Losses]:
        """Returns the losses of the teacher itself and of the best constant."""
        a, b, c, d = (torch.tanh(1.5 * x @ self.encoder) @ w for w in self.readout)
        best = self.losses([self.unit * a, 0.1 * b, c, 0.25 * d], y)
        counts = torch.bincount(y[2], minlength=3) / len(x)
        constants = [y[0].mean(), y[1].median(), counts.log(), y[3].mean().logit()]
        return best, self.losses(
            [torch.as_tensor(k).expand(len(x), -1 if k.ndim else 1) for k in constants], y
        )


class Conflict:
    """Four linear tasks through two numbers."""

    noise = 0.3

    def __init__(self, seed: int) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.slopes = torch.randn(4, 6, generator=self.draw)
        self.slopes /= self.slopes.norm(dim=1, keepdim=True)
        self.units = torch.tensor([1.0, 30.0, 3.0, 0.3]) ** 0.5

    def student(self) -> tuple[nn.Module, nn.ModuleList]:
        return nn.Linear(6, 2, bias=False), nn.ModuleList(nn.Linear(2, 1, bias=False) for _ in TASKS)

    def batch(self, n: int) -> tuple[Tensor, list[Tensor]]:
        x = torch.randn(n, 6, generator=self.draw)
        y = x @ self.slopes.T + self.noise * torch.randn(n, 4, generator=self.draw)
        return x, list((y * self.units).unbind(1))

    def losses(self, out: list[Tensor], y: list[Tensor]) -> Losses:
        return {t: functional.mse_loss(o[:, 0], v) for t, o, v in zip(TASKS, out, y, strict=True)}

    def bounds(self, x: Tensor, y: list[Tensor]) -> tuple[Losses, Losses]:
        """Returns the losses of the true slopes and of the best constant."""
        best = self.losses([(x @ s * u)[:, None] for s, u in zip(self.slopes, self.units, strict=True)], y)
        return best, self.losses([torch.full((len(x), 1), float(v.mean())) for v in y], y)


PROBLEMS = {"scales": Scales, "conflict": Conflict}


def run(problem: str, settings: dict[str, object], seed: int) -> list[float]:
    """Trains once and returns each task's missed share."""
    torch.manual_seed(seed)
    world = PROBLEMS[problem](seed)
    held_out = world.batch(HELD_OUT)
    best, constant = world.bounds(*held_out)
    encoder, heads = world.student()
    balancer = resolve_balancer(settings).build(TASKS)
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam([{"params": parameters}, *balancer.param_groups()], lr=RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, STEPS)

    def losses(x: Tensor, y: list[Tensor]) -> Losses:
        z = encoder(x)
        return world.losses([head(z) for head in heads], y)

    for step in range(STEPS):
        x, y = world.batch(BATCH)
        optimizer.zero_grad()
        balancer.backward(losses(x, y), shared=encoder.parameters())
        optimizer.step()
        schedule.step()
        if balancer.wants_after_step:
            with torch.no_grad():
                balancer.after_step(losses(x, y))
        if step % 50 == 49:
            balancer.epoch_end()
    with torch.no_grad():
        found = losses(*held_out)
    return [float((found[t] - best[t]) / (constant[t] - best[t])) for t in TASKS]


def rows() -> dict[str, dict[str, object]]:
    """Returns settings by the name of the row."""
    found: dict[str, dict[str, object]] = {}
    for kind in BUILT_IN:
        if kind in ("origin_z_score", "every"):  # the first gives no gradient, the second is below
            continue
        settings: dict[str, object] = {"kind": kind}
        balancer: Balancer = resolve_balancer(settings).build(TASKS)
        where = "gradients" if isinstance(balancer, GradientBalancer) else "losses"
        found[f"{kind} ({where})"] = settings
    found["mgda of unit gradients (gradients)"] = {"kind": "mgda", "normaliser": "norm"}
    found["every 10 steps gradscale (gradients)"] = {"kind": "every"}
    found["every 10 steps upgrad (gradients)"] = {"kind": "every", "inner": {"kind": "upgrad"}}
    return found


def drawn_weights(seed: int) -> dict[str, object]:
    """Draws static weights over four powers of ten."""
    draw = torch.Generator().manual_seed(seed)
    powers = (4 * torch.rand(4, generator=draw) - 2).tolist()
    return {"kind": "static", "weights": {t: 10**p for t, p in zip(TASKS, powers, strict=True)}}


class Store:
    """Results by problem, settings and seed, on disk after every run, so that a stopped study goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, list[float] | str] = json.loads(path.read_text()) if path.exists() else {}

    def shares(self, problem: str, settings: dict[str, object], seed: int) -> list[float]:
        """Returns a run's missed shares; nan for a run that the balancer refused to go on with."""
        key = json.dumps([problem, settings, seed, STEPS], sort_keys=True)
        if key not in self.known:
            try:
                self.known[key] = run(problem, settings, seed)
            except ValueError as error:
                self.known[key] = str(error)
            fresh = self.path.with_suffix(".tmp")
            fresh.write_text(json.dumps(self.known))
            fresh.replace(self.path)
        value = self.known[key]
        return [math.nan] * len(TASKS) if isinstance(value, str) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, default=Path("balancer_shootout_runs"), help="where runs are kept"
    )
    parser.add_argument("--problem", choices=PROBLEMS, help="run only this one and write no table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    begin = time.process_time()
    for problem in [args.problem] if args.problem else PROBLEMS:
        store = Store(Path(f"{args.work}_{problem}.json"))
        candidates = [drawn_weights(k) for k in range(DRAWS)]
        tuned = min(
            candidates,
            key=lambda s, p=problem: sum(statistics.mean(store.shares(p, s, seed)) for seed in TUNING_SEEDS),
        )
        for name, settings in {"tuned static (losses)": tuned, **rows()}.items():
            runs = [store.shares(problem, settings, seed) for seed in SEEDS]
            means = [statistics.mean(r) for r in runs]
            table.append(
                {
                    "problem": problem,
                    "balancer": name,
                    "settings": settings,
                    "mean": statistics.mean(means),
                    "deviation": statistics.stdev(means),
                    "worst": statistics.mean(max(r) for r in runs),
                    "tasks": [statistics.mean(r[k] for r in runs) for k in range(len(TASKS))],
                    "seeds": len(runs),
                }
            )
    if args.problem:
        return
    DOCS.mkdir(exist_ok=True)
    about = {"steps": STEPS, "batch": BATCH, "rate": RATE, "seeds": list(SEEDS), "torch": torch.__version__}
    (DOCS / "shootout.json").write_text(json.dumps(about | {"rows": table}, indent=1) + "\n")
    (DOCS / "shootout.md").write_text(page(table))
    print(page(table), f"\n{time.process_time() - begin:.0f} s of CPU time")


def page(table: list[dict]) -> str:
    """Returns the table as Markdown, best first."""
    lines = ["# Every balancer on two problems", "", __doc__.split("\n\n", 2)[2].strip(), ""]
    for problem in PROBLEMS:
        mine = [row for row in table if row["problem"] == problem]
        mine.sort(key=lambda row: (math.isnan(row["mean"]), row["mean"]))
        lines += [
            f"## {problem}",
            "",
            "| balancer | mean ± sd | worst task | " + " | ".join(TASKS) + " |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in mine:
            tasks = " | ".join(f"{v:.3f}" for v in row["tasks"])
            mean = f"{row['mean']:.3f} ± {row['deviation']:.3f}"
            lines.append(f"| {row['balancer']} | {mean} | {row['worst']:.3f} | {tasks} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
