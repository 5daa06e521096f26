"""Does pretraining help? The same network from scratch and pretrained, scored on fresh windows.

Every seed draws a world of its own from the semi-Markov benchmark: 168 labelled windows (50 of them in the
small setting), one unlabelled stretch of 2,000 windows, and 1,000 fresh windows to score. All arms of a seed
see the same windows, the same order of batches and the same number of steps; the heads of a pretrained
network start from the same values as those from scratch. Nothing is chosen by looking at scores.

    python benchmarks/pretraining.py --out packages/moola-models/docs
    python benchmarks/pretraining.py --quick --out /tmp

Rows that stand in the JSON are not run again, so an interrupted run is resumed by the same command.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from moola_data.expansion_rule import label_expansions
from moola_data.features import compute_features
from moola_data.span_mask import span_mask
from moola_data.spans import visible_spans
from moola_data.synthetic import benchmark
from moola_data.windows import gather
from moola_eval.bars import bar_f1
from moola_eval.detection import span_f1
from moola_eval.spans import Spans
from moola_models import Jade, compact
from moola_models.chain_paths import best_path
from moola_models.contrastive import Contrastive, Noise
from moola_models.masked_reconstruction import MaskedReconstruction, feature_scale
from moola_models.masking import Masking
from moola_models.pretrained import from_pretrained
from moola_models.registry import resolve_head

K = 105
SNR = 1.25
ARMS = ("scratch", "masked", "weak", "contrastive")
LABELLED = (168, 50)
JITTER = 0.1


class Size(NamedTuple):
    """How much is run."""

    seeds: int
    unlabelled: int
    fresh: int
    pretrain_steps: int
    tune_steps: int


FULL = Size(seeds=5, unlabelled=2000, fresh=1000, pretrain_steps=160, tune_steps=200)
QUICK = Size(seeds=2, unlabelled=200, fresh=100, pretrain_steps=10, tune_steps=20)


class World(NamedTuple):
    """What one seed draws, features standardised by the unlabelled bars."""

    unlabelled: Tensor
    rule_marks: Tensor
    train: Tensor
    train_marks: Tensor
    fresh: Tensor
    fresh_marks: Tensor
    best_bar_f1: float


def draw_world(seed: int, size: Size) -> World:
    n = max(LABELLED) + size.fresh
    drawn = benchmark(n, seed=1000 + seed, snr=SNR, unlabelled=K * (size.unlabelled + 1))
    values = compute_features(drawn.bars, "jade").values
    free = values[drawn.unlabelled_from :]
    values = (values - free.mean(0)) / np.maximum(free.std(0), 1e-3)
    free_starts = drawn.unlabelled_from + K * np.arange(1, size.unlabelled + 1)

    def marks(spans, starts: np.ndarray) -> Tensor:
        seen = visible_spans(spans, starts, length=K)
        return torch.from_numpy(span_mask(seen, windows=len(starts), length=K)) >= 0.5

    def windows(starts: np.ndarray) -> Tensor:
        return torch.from_numpy(gather(values.astype(np.float32), starts, length=K))

    x, y = windows(drawn.starts), marks(drawn.truth, drawn.starts)
    cut = max(LABELLED)
    rule = marks(label_expansions(drawn.bars), free_starts)
    best = drawn.ceiling.bar.f1
    return World(windows(free_starts), rule, x[:cut], y[:cut], x[cut:], y[cut:], best)


def new_model(inputs: int, seed: int) -> Jade:
    head = resolve_head("span_semi_markov")
    return Jade(compact(inputs, heads=(head,), input_dropout=0.1, dense_dropout=0.3), seed=seed)


def train(
    model: torch.nn.Module,
    loss: Callable[[Tensor], Tensor],
    windows: int,
    steps: int,
    *,
    seed: int,
    batch: int,
    rate: float = 3e-3,
) -> None:
    """One-cycle AdamW; `loss` gets the indices of a batch."""
    order = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(waiting) < batch:
            waiting = torch.cat([waiting, torch.randperm(windows, generator=order)])
        index, waiting = waiting[:batch], waiting[batch:]
        optimizer.zero_grad()
        loss(index).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()


def pretrain(arm: str, world: World, seed: int, size: Size) -> dict[str, Tensor]:
    """Returns the encoder's weights."""
    x = world.unlabelled
    model = new_model(x.shape[2], seed=100 + seed)
    scale = feature_scale(x, least=JITTER)
    width = 2 * model.config.hidden
    if arm == "masked":
        masking = Masking(pattern="runs", ratio=0.3, stop=0.15, longest=20)
        whole = MaskedReconstruction(model, scale, width=width, masking=masking, jitter=JITTER, seed=seed)

        def loss(index: Tensor) -> Tensor:
            total, count = whole(x[index]).reconstruction.sum(0)
            return total / count

        train(whole, loss, len(x), size.pretrain_steps, seed=seed, batch=64)
    elif arm == "contrastive":
        view = Noise(scale, jitter=JITTER, masking=Masking(pattern="runs", ratio=0.3, stop=0.15, longest=20))
        pairs = Contrastive(model, view, width=width, seed=seed)

        def loss(index: Tensor) -> Tensor:
            total, count = pairs(x[index]).contrast.sum(0)
            return total / count

        train(pairs, loss, len(x), size.pretrain_steps, seed=seed, batch=64)
    else:

        def loss(index: Tensor) -> Tensor:
            return -model(x[index], targets={"span": world.rule_marks[index].float()}).span.mean() / K

        train(model, loss, len(x), size.pretrain_steps, seed=seed, batch=64)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def predict(model: Jade, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Returns bars whose marginal is at least .5, and bars of the most probable set of spans."""
    model.eval()
    states = model.states(model.encode(x))
    likely = model.head("span")(states) >= 0
    best = best_path(model.head("span").distribution(states).chain()) > 1
    return likely.numpy(), best.numpy()


def scores(world: World, model: Jade) -> dict[str, float]:
    """Scores the fresh windows; nothing was chosen on them."""
    chunks = [predict(model, chunk) for chunk in world.fresh.split(250)]
    bars, best = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    truth = world.fresh_marks.numpy()
    return {
        "bar_f1": bar_f1(truth, bars).value,
        "span_f1": span_f1(Spans.from_mask(truth), Spans.from_mask(best)).value,
    }


def run(path: Path, size: Size, arms: tuple[str, ...]) -> list[dict]:
    """Fills in the rows that are missing, writing the file after each."""
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    done = {(row["seed"], row["labelled"], row["arm"]) for row in rows}
    for seed in range(size.seeds):
        wanted = [(seed, labelled, arm) for arm in arms for labelled in LABELLED]
        if done.issuperset(wanted):
            continue
        world = draw_world(seed, size)
        inputs = world.train.shape[2]
        for arm in arms:
            if done.issuperset((seed, labelled, arm) for labelled in LABELLED):
                continue
            began = time.process_time()
            weights = None if arm == "scratch" else pretrain(arm, world, seed, size)
            pretraining = time.process_time() - began
            for labelled in LABELLED:
                if (seed, labelled, arm) in done:
                    continue
                model = new_model(inputs, seed)
                if weights is not None:
                    from_pretrained(model, weights, prefixes=("lstm.",))
                x, y = world.train[:labelled], world.train_marks[:labelled].float()

                def loss(index: Tensor, model: Jade = model, x: Tensor = x, y: Tensor = y) -> Tensor:
                    return -model(x[index], targets={"span": y[index]}).span.mean() / K

                began = time.process_time()
                train(model, loss, labelled, size.tune_steps, seed=seed, batch=32)
                tuning = time.process_time() - began
                rows.append(
                    {
                        "seed": seed,
                        "labelled": labelled,
                        "arm": arm,
                        "fresh": len(world.fresh),
                        **scores(world, model),
                        "best_bar_f1": world.best_bar_f1,
                        "pretrain_seconds": round(pretraining, 1),
                        "tune_seconds": round(tuning, 1),
                    }
                )
                write(
                    path, json.dumps({"size": size._asdict(), "machine": machine(), "rows": rows}, indent=1)
                )
                print(rows[-1], flush=True)
    return rows


def machine() -> dict[str, str]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }


def write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text)
    draft.replace(path)


def spread(values: list[float]) -> str:
    """Mean and 95 % interval of Student's t over seeds."""
    mean = float(np.mean(values))
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def table(rows: list[dict], size: Size, arms: tuple[str, ...]) -> str:
    """The Markdown page."""
    by = {(row["seed"], row["labelled"], row["arm"]): row for row in rows}
    seeds = range(size.seeds)
    lines = [
        "| labelled windows | arm | bar F1 | span F1 | bar F1 less scratch | span F1 less scratch |",
        "|---|---|---|---|---|---|",
    ]
    for labelled in LABELLED:
        for arm in arms:
            here = {m: [by[s, labelled, arm][m] for s in seeds] for m in ("bar_f1", "span_f1")}
            base = {m: [by[s, labelled, "scratch"][m] for s in seeds] for m in ("bar_f1", "span_f1")}
            less = [
                "" if arm == "scratch" else spread([a - b for a, b in zip(here[m], base[m], strict=True)])
                for m in here
            ]
            means = [f"{np.mean(here[m]):.3f}" for m in here]
            lines.append(f"| {labelled} | {arm} | {' | '.join([*means, *less])} |")
    ceiling = np.mean([by[s, LABELLED[0], "scratch"]["best_bar_f1"] for s in seeds])
    seconds = {a: np.mean([by[s, LABELLED[0], a]["pretrain_seconds"] for s in seeds]) for a in arms}
    cost = ", ".join(f"{arm} {value:.0f} s" for arm, value in seconds.items() if arm != "scratch")
    labels = " or ".join(map(str, LABELLED))
    about = (
        f"Semi-Markov benchmark at a signal-to-noise ratio of {SNR}; {size.seeds} seeds, each with "
        f"data of its own: {size.unlabelled:,} unlabelled windows, {labels} labelled ones and "
        f"{size.fresh:,} fresh ones to score ({size.seeds * size.fresh:,} in all). `compact` with a "
        f"semi-Markov head on the jade features; {size.pretrain_steps} steps of pretraining at 64 "
        f"windows, {size.tune_steps} of training at 32, the same for every arm; only the encoder is "
        "taken over. masked: runs of bars are hidden and have to be told; weak: the span head learns "
        "labels of `moola_data.expansion_rule`; contrastive: two altered views of a window are alike. "
        "F1 is pooled over windows; spans match at IoU .5. Differences are paired by seed, with the "
        "95 % interval of Student's t over seeds, so drawing other data and other first weights is in "
        "it; nothing corrects for looking at several. The best bar F1 that anybody can expect is "
        f"{ceiling:.3f}. Pretraining cost (CPU): {cost}."
    )
    return "\n".join(
        ["# Pretraining against training from scratch", "", about, "", *lines, "", *absent(rows, size, arms)]
    )


def absent(rows: list[dict], size: Size, arms: tuple[str, ...]) -> list[str]:
    """Says which arms are not in the table, and how far they came."""
    done = {(row["seed"], row["labelled"], row["arm"]) for row in rows}
    left = [arm for arm in ARMS if arm not in arms]
    if not left:
        return []
    came = {
        arm: sum(done.issuperset((s, n, arm) for n in LABELLED) for s in range(size.seeds)) for arm in left
    }
    far = ", ".join(f"{arm} ({seeds} of {size.seeds} seeds run)" for arm, seeds in came.items())
    return [
        f"Not in the table, stopped for the computing time they take, whatever they showed: {far}. Nothing "
        "is known of whether they help. `--arms masked weak contrastive` runs what is missing.",
        "",
    ]


def verdicts(rows: list[dict], size: Size, arms: tuple[str, ...]) -> str:
    """Says of each arm what its intervals allow to say."""
    by = {(row["seed"], row["labelled"], row["arm"]): row for row in rows}
    lines = []
    for labelled in LABELLED:
        for arm in arms[1:]:
            for metric, word in (("bar_f1", "bar F1"), ("span_f1", "span F1")):
                less = [
                    by[s, labelled, arm][metric] - by[s, labelled, "scratch"][metric]
                    for s in range(size.seeds)
                ]
                half = student.ppf(0.975, len(less) - 1) * np.std(less, ddof=1) / np.sqrt(len(less))
                mean = np.mean(less)
                verdict = (
                    "helps" if mean > half else "harms" if -mean > half else "makes no proven difference"
                )
                lines.append(f"* {labelled} labelled windows, {word}: {arm} pretraining {verdict}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for pretraining.json and pretraining.md"
    )
    parser.add_argument(
        "--quick", action="store_true", help="minutes become seconds; the figures mean nothing"
    )
    parser.add_argument(
        "--arms", nargs="+", choices=ARMS, default=ARMS[:2], help="scratch is always one of them"
    )
    options = parser.parse_args()
    arms = ("scratch", *(arm for arm in options.arms if arm != "scratch"))
    size = QUICK if options.quick else FULL
    path = options.out / "pretraining.json"
    if path.exists() and json.loads(path.read_text())["size"] != size._asdict():
        raise SystemExit(f"{path}: holds rows of another size; take another folder")
    rows = run(path, size, arms)
    command = f"Made by `python benchmarks/pretraining.py{' --quick' * options.quick}`."
    page = f"{table(rows, size, arms)}\n{verdicts(rows, size, arms)}\n\n{command}\n"
    write(options.out / "pretraining.md", page)
    print(page)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
