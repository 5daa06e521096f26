"""Is the ranked order of labelling worth it, and are wrong labels found? Simulated where the truth is known.

    python benchmarks/labelling.py order --out results.jsonl           # the ranking against random windows
    python benchmarks/labelling.py doubt --out results.jsonl           # wrong labels planted and looked for
    python benchmarks/labelling.py table --out results.jsonl           # what both found

Every seed draws a world of its own from the semi-Markov benchmark. `order`: 20 random windows are labelled by
the truth, a network is trained, 20 more windows are labelled, and so on, either at random or as the ranking
of `moola labels next` says, from a pool of 2,000; scored on 1,000 fresh windows. Random goes on to 200
windows; the ranking stops at 140, 70 % of them. `doubt`: of 500 windows 5 % get a wrong label (a span
removed, one invented, an edge moved by 4 to 8 bars), and `moola labels doubt` ranks them without knowing
which.

A row a seed and arm; those that stand in the file are not run again, so an interrupted run is gone on with by
the same command, and several processes may share the work: --seeds 0-5 and --seeds 6-11. `--choosing` takes
other seeds than those that are reported, to compare rules on: it offers the parts of the value as arms.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from moola_data.mirror import with_mirrored
from moola_data.schema import Spans, WindowSet
from moola_data.synthetic import benchmark
from moola_data.window_subset import select
from moola_eval.detection import span_f1
from moola_eval.schema import Truth
from moola_eval.spans import Spans as EvalSpans
from moola_eval.targets import Targets
from moola_models import Jade
from moola_train.batches import WindowedBars
from moola_train.fit import fit
from moola_train.recipes.answers import answers_of
from moola_train.recipes.expansion import expansion_balancer, expansion_model, expansion_tasks
from moola_train.recipes.label_ranking import Work, rank_windows
from moola_train.recipes.label_review import doubtful_labels
from moola_train.recipes.labelling_value import labelling_values
from moola_train.recipes.run_config import RunConfig, recipe_values
from moola_train.recipes.study_data import BenchmarkSource, material
from moola_train.recipes.unlabelled import UnlabelledWindows

Int = npt.NDArray[np.int64]
REPORTED, CHOOSING = 3000, 6000
SHARE = 0.7
KINDS = ("missing", "spurious", "shifted")
WORK = Work()
ARMS = {
    "random": None,
    "windows": ("value", Work(WORK.window_seconds, 0.0)),
    "hours": ("value", WORK),
}
"""The value that ranks, and what labelling costs. "windows" counts every window alike."""
PARTS = {name: (name, Work(WORK.window_seconds, 0.0)) for name in ("errors", "information", "spans")}


class Size(NamedTuple):
    """How much is run."""

    pool: int = 2000
    fresh: int = 1000
    points: tuple[int, ...] = (20, 40, 60, 80, 100, 120, 140, 200)
    """Labelled windows; the ranking leaves out the last."""
    sparse: tuple[int, ...] = (20, 80, 140, 200)
    """Those at which random windows are scored: they need no network to be chosen."""
    steps: int = 200
    repeats: int = 2
    """Trainings whose scores are averaged at the points that are compared."""
    doubted: int = 500
    epochs: int = 8


FULL = Size()
QUICK = Size(
    pool=60, fresh=40, points=(8, 14, 20), sparse=(8, 14, 20), steps=6, repeats=1, doubted=60, epochs=1
)


class World(NamedTuple):
    """The windows of a seed: a pool to label, fresh ones to score, the pool's mirror images in its order."""

    windows: WindowSet
    pool: int
    fresh: Int
    ceiling: float


def settings(seed: int, *, epochs: int, stride: int = 15) -> RunConfig:
    """The span task of jade-best alone, from drawn weights: what is known is known from the labels."""
    values = recipe_values("jade-best")
    return RunConfig.model_validate(
        {
            **values,
            "data": {**values["data"], "stride": stride},
            "model": {**values["model"], "tasks": ["span"], "hidden": 64, "seed": seed},
            "pretrain": {},
            "balancer": {"kind": "uncertainty", "init": "auto"},
            "fit": {
                **values["fit"],
                "epochs": epochs,
                "learning_rate": 3e-3,
                "balancer_learning_rate": 0.03,
                "averaging": None,
                "seed": seed,
                "selection": "loss",
            },
        }
    )


def draw(seed: int, size: Size) -> World:
    section = settings(seed, epochs=1).data.model_copy(update={"mirror": False})
    drawn = material(BenchmarkSource(windows=size.pool, fresh=size.fresh), section, seed=seed)
    fresh = drawn.windows.split == 2
    parts = np.where(fresh, 2, 0).astype(np.int8)
    windows = with_mirrored(drawn.windows.model_copy(update={"split": parts}))
    return World(windows, size.pool, np.flatnonzero(fresh), drawn.span_ceiling)


def trained(world: World, labelled: Int, seed: int, size: Size) -> tuple[Jade, RunConfig]:
    """The same number of steps whatever there is to learn from."""
    both = np.concatenate([labelled, world.pool + len(world.fresh) + labelled])
    windows = select(world.windows, both)
    config = settings(seed, epochs=max(round(size.steps / -(-len(windows) // 32)), 1))
    model = expansion_model(windows, config)
    tasks = expansion_tasks(windows, config)
    fit(model, WindowedBars(windows), tasks, expansion_balancer(tasks, config), config.fit)
    return model, config


def score(world: World, model: Jade, config: RunConfig) -> float:
    fresh = select(world.windows, world.fresh)
    found = answers_of(model, WindowedBars(fresh), np.arange(len(fresh)), config.data, config.decoding)
    true = Targets.of(Truth.model_validate(fresh)).spans
    assert found.marks is not None
    return float(span_f1(true, EvalSpans.from_mask(found.marks), labels="ignored").value)


def chosen(arm: str, world: World, model: Jade | None, labelled: Int, more: int, seed: int) -> Int:
    """The next windows to label."""
    rest = np.setdiff1d(np.arange(world.pool), labelled)
    rule = {**ARMS, **PARTS}[arm]
    if rule is None:
        return np.random.default_rng([seed, 7, len(labelled)]).choice(rest, more, replace=False)
    assert model is not None
    starts, length = world.windows.starts[rest], world.windows.length
    data = UnlabelledWindows(world.windows.features, starts, length=length, position=False)
    name, work = rule
    said = labelling_values(model, data, seed=seed)
    hours = work.hours(said.spans)
    ranked = rank_windows(getattr(said, name), hours, said.encoding, count=more, starts=starts, length=length)
    return rest[ranked.window]


def order(arm: str, seed: int, size: Size) -> dict[str, object]:
    """Labels, trains and scores, round after round."""
    began = time.process_time()
    world = draw(seed, size)
    labelled = np.random.default_rng([seed, 5]).permutation(world.pool)[: size.points[0]]
    compared = {round(SHARE * size.points[-1]), size.points[-1]}
    model, curve = None, []
    for n in size.sparse if arm == "random" else size.points[:-1]:
        if n > len(labelled):
            more = chosen(arm, world, model, labelled, n - len(labelled), seed)
            labelled = np.concatenate([labelled, more])
        values = []
        for again in range(size.repeats if n in compared else 1):
            model, config = trained(world, labelled, seed + 100_000 * again, size)
            values.append(score(world, model, config))
        spans = int(np.isin(world.windows.spans.window, labelled).sum())
        hours = n * float(WORK.hours(np.array([spans / n]))[0])
        curve.append({"windows": n, "spans": spans, "hours": hours, "span_f1": float(np.mean(values))})
        print(f"{arm} {seed}: {curve[-1]}", flush=True)
    return {"curve": curve, "ceiling": world.ceiling, "cpu_seconds": round(time.process_time() - began)}


def planted(
    spans: Spans, starts: Int, *, length: int, share: float, seed: int
) -> tuple[Spans, list[tuple[int, str]]]:
    """Makes labels of some windows wrong, of each kind equally often; also returns which, and how."""
    rng = np.random.default_rng(seed)
    start, end = spans.start.copy(), spans.end.copy()
    kept, invented = np.ones(len(start), bool), []
    middle = (start + end) // 2
    wrong: list[tuple[int, str]] = []
    for window in rng.permutation(len(starts)).tolist():
        if len(wrong) == round(share * len(starts)):
            break
        kind, first = KINDS[len(wrong) % 3], int(starts[window])
        mine = np.flatnonzero((middle >= first) & (middle < first + length))
        if kind == "spurious":
            size = int(rng.integers(5, 16))
            at = first + int(rng.integers(0, length - size))
            if ((start <= at + size + 1) & (end >= at - 2)).any():
                continue
            invented.append((at, at + size - 1))
        elif not len(mine):
            continue
        elif kind == "missing":
            kept[rng.choice(mine)] = False
        else:
            span = int(rng.choice(mine))
            by = int(rng.integers(4, 9)) * int(rng.choice([-1, 1]))
            a, b = (start[span] + by, end[span]) if rng.random() < 0.5 else (start[span], end[span] + by)
            others = np.arange(len(start)) != span
            if (
                b - a < 1
                or a < first
                or b >= first + length
                or ((start <= b + 1) & (end >= a - 1))[others].any()
            ):
                continue
            start[span], end[span] = a, b
        wrong.append((window, kind))
    a, b = np.array(invented, np.int64).reshape(-1, 2).T
    labels = spans.model_copy(
        update={
            "start": np.concatenate([start[kept], a]),
            "end": np.concatenate([end[kept], b]),
            "type": np.full(int(kept.sum()) + len(a), -1, np.int64),
            "weight": np.ones(int(kept.sum()) + len(a), np.float32),
        }
    )
    return labels, wrong


def doubt(_: str, seed: int, size: Size) -> dict[str, object]:
    """Plants wrong labels and looks for them."""
    began = time.process_time()
    n = size.doubted
    drawn = benchmark(n, seed=seed, per_stretch=n)
    labels, wrong = planted(drawn.truth, drawn.starts, length=drawn.length, share=0.05, seed=seed + 1)
    config = settings(seed, epochs=size.epochs, stride=35)
    table = doubtful_labels(drawn.bars, labels, config, folds=5, seed=seed)
    first = table["start"].fillna(table["better_start"]).to_numpy(np.int64)
    last = table["end"].fillna(table["better_end"]).to_numpy(np.int64)
    window = ((first + last) // 2 - drawn.warmup) // drawn.length
    worst = np.zeros(n)
    inside = (window >= 0) & (window < n)
    np.maximum.at(worst, window[inside], table["odds"].to_numpy()[inside])
    top = set(np.argsort(-worst, kind="stable")[: n // 10].tolist())
    found = {kind: [w in top for w, k in wrong if k == kind] for kind in KINDS}
    right = sum(sum(hits) for hits in found.values())
    row = {
        "windows": n,
        "planted": {kind: len(hits) for kind, hits in found.items()},
        "found": {kind: sum(hits) for kind, hits in found.items()},
        "times_base_rate": (right / len(top)) / (len(wrong) / n),
        "cpu_seconds": round(time.process_time() - began),
    }
    print(f"doubt {seed}: {row}", flush=True)
    return row


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(path: Path, mode: str, arms: tuple[str, ...], seeds: list[int], size: Size) -> None:
    """Adds the rows that are missing, a line each."""
    work: Callable[[str, int, Size], dict[str, object]] = order if mode == "order" else doubt
    for seed in seeds:
        for arm in arms:
            key = {"mode": mode, "arm": arm, "seed": seed, "size": list(map(str, size))}
            if any({name: row[name] for name in key} == key for row in read(path)):
                continue
            line = json.dumps({**key, **work(arm, seed, size)}) + "\n"
            with path.open("a") as file:
                file.write(line)


def spread(values: npt.ArrayLike) -> str:
    """Mean and 95 % interval of Student's t over seeds."""
    numbers = np.asarray(values, float)
    if len(numbers) < 2:
        return f"{numbers.mean():+.3f} (one seed)"
    half = float(student.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
    return f"{numbers.mean():+.3f} [{numbers.mean() - half:+.3f}, {numbers.mean() + half:+.3f}]"


def table(rows: list[dict], size: Size) -> str:
    """Markdown of all that is done."""
    rows = [row for row in rows if row["size"] == list(map(str, size))]
    by = {(row["arm"], row["seed"]): row["curve"] for row in rows if row["mode"] == "order"}
    lines = []
    for arm in (a for a in [*ARMS, *PARTS] if a != "random"):
        seeds = sorted(s for a, s in by if a == arm and ("random", s) in by)
        if not seeds:
            continue
        final = [by["random", s][-1] for s in seeds]
        goal, all_hours = (float(np.mean([f[name] for f in final])) for name in ("span_f1", "hours"))
        lines += [
            f"\n{arm}, {len(seeds)} seeds; random windows reach {goal:.3f} with {final[0]['windows']} "
            f"({all_hours:.2f} hours)\n",
            "| windows | share | hours' share | spans | span F1 | less random's last | less random's here |",
            "|---|---|---|---|---|---|---|",
        ]
        for place, point in enumerate(by[arm, seeds[0]]):
            n = point["windows"]
            here = [by[arm, s][place] for s in seeds]
            same = [[p["span_f1"] for p in by["random", s] if p["windows"] == n] for s in seeds]
            f1 = [p["span_f1"] for p in here]
            beside = spread([a - b[0] for a, b in zip(f1, same, strict=True)]) if all(same) else ""
            hours = float(np.mean([p["hours"] for p in here])) / all_hours
            lines.append(
                f"| {n} | {n / final[0]['windows']:.0%} | {hours:.0%} "
                f"| {np.mean([p['spans'] for p in here]):.0f} | {np.mean(f1):.3f} "
                f"| {spread([a - b['span_f1'] for a, b in zip(f1, final, strict=True)])} | {beside} |"
            )
    found = [row for row in rows if row["mode"] == "doubt"]
    if found:
        said = ", ".join(
            f"{kind} {sum(r['found'][kind] for r in found)} of {sum(r['planted'][kind] for r in found)}"
            for kind in KINDS
        )
        lines += [
            f"\nWrong labels, {len(found)} seeds of {found[0]['windows']} windows: in the top 10 % "
            f"{spread([r['times_base_rate'] for r in found])} times the base rate (10 is all); {said}."
        ]
    return "\n".join(lines)


def numbers(text: str) -> list[int]:
    low, _, high = text.partition("-")
    return list(range(int(low), int(high or low) + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["order", "doubt", "table"])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; read first, added to")
    parser.add_argument("--seeds", type=numbers, default=list(range(12)), help="such as 0-11")
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *PARTS], default=list(ARMS))
    parser.add_argument("--choosing", action="store_true", help="seeds to choose rules on, not to report")
    parser.add_argument("--quick", action="store_true", help="whether it runs at all")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    seeds = [seed + (CHOOSING if given.choosing else REPORTED) for seed in given.seeds]
    if given.mode != "table":
        arms = ("doubt",) if given.mode == "doubt" else tuple(given.arms)
        run(given.out, given.mode, arms, seeds, size)
    rows = [r for r in read(given.out) if (r["seed"] >= CHOOSING) == given.choosing]
    print(table(rows, size))


if __name__ == "__main__":
    main()
