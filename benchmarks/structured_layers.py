"""Does a structured span layer beat independent bars? Two situations, same encoder and training.

    python benchmarks/structured_layers.py           # resumes; a file a run in runs/structured_layers
    python benchmarks/structured_layers.py --quick   # two seeds, few epochs and windows: whether it runs

One expansion a window: the one-segment layer beside per-bar cross-entropy, whose single span comes from the
best of three decoders with its offset, chosen on inner windows. Several or none: the semi-Markov layer beside
per-bar cross-entropy with its threshold chosen on inner windows. Nothing is chosen on the reported windows.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from moola_data.features import compute_features
from moola_data.mirror import mirror_features
from moola_data.one_expansion import one_expansion
from moola_data.synthetic import benchmark
from moola_eval.comparison import compare
from moola_eval.detection import span_f1
from moola_eval.spans import Spans
from moola_models import Jade, compact
from moola_models.candidates import best_marks
from moola_models.expected_f1 import decode_for_f1

K, TRAIN, INNER = 105, 168, 42
HERE = Path(__file__).parent
TEST_SEED = 20_000  # of the reported windows; training sets have seeds 1,000 + seed
Marks = np.ndarray


class Windows(NamedTuple):
    """Features (n, K, F), those of upside-down prices, marks (n, K), and the best expected span F1."""

    x: np.ndarray
    mirrored: np.ndarray
    marks: Marks
    ceiling: float


class Situation(NamedTuple):
    """Where windows come from, the layer of the structured side, and how it averages F1."""

    draw: Callable[..., object]
    layer: str


SITUATIONS = {
    "one": Situation(lambda n, seed: one_expansion(n, seed=seed), "segment"),
    "several": Situation(lambda n, seed: benchmark(n, seed=seed, snr=1.25), "semi_markov"),
}


def windows_of(situation: Situation, n: int, *, seed: int) -> Windows:
    drawn = situation.draw(n, seed)
    features = compute_features(drawn.bars, "jade")
    mirrored = mirror_features(features.values, tuple(features.names), features="jade")
    inside = np.zeros(len(drawn.bars) + 1, np.int64)
    truth = drawn.spans
    np.add.at(inside, truth.start, 1)
    np.add.at(inside, truth.end + 1, -1)
    at = drawn.starts[:, None] + np.arange(K)
    return Windows(features.values[at], mirrored[at], np.cumsum(inside)[at] > 0, float(drawn.ceiling.span.f1))


def reported_windows(name: str, args: argparse.Namespace) -> Windows:
    """The windows that are reported, drawn once and kept."""
    file = args.rows / f"{name}-test-{args.windows}.npz"
    if not file.exists():
        drawn = windows_of(SITUATIONS[name], args.windows, seed=TEST_SEED)
        part = file.with_suffix(".part.npz")
        np.savez(part, **drawn._asdict())
        part.replace(file)
    with np.load(file, allow_pickle=False) as kept:
        return Windows(kept["x"], kept["mirrored"], kept["marks"], float(kept["ceiling"]))


def train(layer: str, data: Windows, *, seed: int, epochs: int) -> Callable[[np.ndarray], Jade]:
    """Trains JadeCompact with one head; both sides differ in the head and its loss only."""
    model = Jade(compact(data.x.shape[2], heads=(head_of(layer),)), seed=seed)
    x, mirrored = torch.from_numpy(data.x[:TRAIN]), torch.from_numpy(data.mirrored[:TRAIN])
    target = torch.from_numpy(data.marks[:TRAIN]).float()
    size = 28
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * (TRAIN // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps)
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of the dropouts
    for _ in range(epochs):
        for rows in torch.randperm(TRAIN, generator=draw).split(size):
            flip = torch.rand(len(rows), 1, 1, generator=draw) < 0.5
            batch, marks = torch.where(flip, mirrored[rows], x[rows]), target[rows]
            output = model(batch, targets={"span": marks}).span
            if layer == "bars":
                loss = torch.nn.functional.binary_cross_entropy_with_logits(output, marks)
            else:
                loss = -output.mean() / K
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return model.eval()


def head_of(layer: str) -> object:
    return compact(1, span=layer).heads[[h.name for h in compact(1, span=layer).heads].index("span")]


def logits_of(model: Jade, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([model(part).span for part in torch.from_numpy(x).split(250)]).double().numpy()


def structured(model: Jade, x: np.ndarray, *, average: str, seed: int) -> dict[str, Marks]:
    """The most probable spans, and those with the best expected F1 of windows or pooled."""
    draw, found = torch.Generator().manual_seed(seed), {"most probable": [], "expected F1": []}
    for part in torch.from_numpy(x).split(500):
        with torch.no_grad():
            distribution = model.head("span").distribution(model.states(model.encode(part)))
            found["most probable"].append(best_marks(distribution))
            decision = decode_for_f1(distribution, generator=draw, k_best=1, average=average)
            found["expected F1"].append(decision.marks)
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def plain_runs(logits: np.ndarray, cut: float) -> Marks:
    return logits >= cut


def best_sum(logits: np.ndarray, cut: float) -> Marks:
    """The one span with the largest sum of logits less the cut: the most probable one of independent bars."""
    n = len(logits)
    total = np.concatenate([np.zeros((n, 1)), np.cumsum(logits - cut, 1)], 1)
    # The earliest lowest prefix before each bar.
    low = np.minimum.accumulate(total[:, :-1], 1)
    where = np.maximum.accumulate(np.where(total[:, :-1] == low, np.arange(K), 0), 1)
    end = np.argmax(total[:, 1:] - low, 1)
    return between(where[np.arange(n), end], end)


def one_run(logits: np.ndarray, cut: float, *, by: str) -> Marks:
    """Of the runs at or above the cut, the longest or that with the largest sum above it; never none."""
    above = logits >= np.minimum(cut, logits.max(1, keepdims=True))
    gain = np.where(above, 1.0 if by == "length" else logits - cut + 1e-9, 0.0)
    total = np.concatenate([np.zeros((len(logits), 1)), np.cumsum(gain, 1)], 1)
    edge = np.where(above, 0, np.arange(1, K + 1))
    begin = np.maximum.accumulate(edge, 1)
    worth = total[:, 1:] - np.take_along_axis(total, begin, 1)
    end = np.argmax(np.where(above, worth, -np.inf), 1)
    return between(begin[np.arange(len(logits)), end], end)


def between(start: np.ndarray, end: np.ndarray) -> Marks:
    return (np.arange(K) >= start[:, None]) & (np.arange(K) <= end[:, None])


SINGLE = {
    "largest sum": best_sum,
    "longest run": lambda logits, cut: one_run(logits, cut, by="length"),
    "heaviest run": lambda logits, cut: one_run(logits, cut, by="sum"),
}


def f1(true: Marks, pred: Marks) -> float:
    return span_f1(Spans.from_mask(true), Spans.from_mask(pred)).value


def tuned(decoders: dict, logits: np.ndarray, truth: Marks, *, cuts: int) -> tuple[str, float]:
    """The decoder and cut with the best span F1 on these windows; of equal cuts the middle one."""
    cuts = np.quantile(logits, np.linspace(0.3, 0.999, cuts))
    found = {}
    for name, decoder in decoders.items():
        curve = np.array([np.nan_to_num(f1(truth, decoder(logits, cut))) for cut in cuts])
        ties = np.flatnonzero(curve == curve.max())
        found[name] = (curve.max(), float(cuts[ties[len(ties) // 2]]))
    best = max(found, key=lambda name: found[name][0])
    return best, found[best][1]


def run(name: str, side: str, seed: int, args: argparse.Namespace, test: Windows) -> dict:
    situation, begin = SITUATIONS[name], time.perf_counter()
    data = windows_of(situation, TRAIN + INNER, seed=1000 + seed)
    mean, deviation = data.x[:TRAIN].mean((0, 1)), data.x[:TRAIN].std((0, 1)) + 1e-3
    data, reported = (
        w._replace(x=(w.x - mean) / deviation, mirrored=(w.mirrored - mean) / deviation) for w in (data, test)
    )
    layer = "bars" if side == "bars" else situation.layer
    model = train(layer, data, seed=seed, epochs=args.epochs)
    if side == "bars":
        decoders = SINGLE if name == "one" else {"runs": plain_runs}
        inner, logits = logits_of(model, data.x[TRAIN:]), logits_of(model, reported.x)
        how, cut = tuned(decoders, inner, data.marks[TRAIN:], cuts=141)
        # A bound, never the result.
        late, late_cut = tuned(decoders, logits, reported.marks, cuts=41)
        marks = {"tuned": decoders[how](logits, cut), "tuned on the test": decoders[late](logits, late_cut)}
        note = f"{how} at {cut:.3f}"
    else:
        average = "window" if name == "one" else "pooled"
        marks, note = structured(model, reported.x, average=average, seed=seed), ""
    spans = {how: Spans.from_mask(found) for how, found in marks.items()}
    return {
        "situation": name,
        "side": side,
        "seed": seed,
        "epochs": args.epochs,
        "windows": len(test.x),
        "note": note,
        "seconds": round(time.perf_counter() - begin, 1),
        "f1": {how: f1(reported.marks, found) for how, found in marks.items()},
        "spans": {
            how: [found.sequence.tolist(), found.start.tolist(), found.end.tolist()]
            for how, found in spans.items()
        },
    }


def fixed_span(data: Windows, test: Windows) -> float:
    """The null: always the same span, the one that scores best on the training windows."""
    true, best = Spans.from_mask(data.marks[:TRAIN]), (-1.0, 0, 0)
    for start in range(20, 80, 2):
        for size in range(2, min(40, K - start), 2):
            first = np.full(TRAIN, start)
            pred = Spans.of(np.arange(TRAIN), first, first + size - 1, lengths=[K] * TRAIN)
            best = max(best, (span_f1(true, pred).value, start, start + size - 1))
    n = len(test.x)
    pred = Spans.of(np.arange(n), [best[1]] * n, [best[2]] * n, lengths=[K] * n)
    return span_f1(Spans.from_mask(test.marks), pred).value


def together(rows: list[dict], how: str, n: int) -> Spans:
    """The spans of all seeds as one long list of windows, seed after seed."""
    parts = [np.array(row["spans"][how], dtype=np.int64) for row in rows]
    sequence = np.concatenate([part[0] + i * n for i, part in enumerate(parts)])
    start, end = (np.concatenate([part[j] for part in parts]) for j in (1, 2))
    return Spans.of(sequence, start, end, lengths=[K] * (n * len(rows)))


def summary(name: str, rows: list[dict], test: Windows, null: float) -> dict:
    """Means of both sides; their paired difference with an interval over windows and one over seeds."""
    n = len(test.x)
    sides = {
        side: sorted((r for r in rows if r["side"] == side), key=lambda r: r["seed"])
        for side in ("bars", "layer")
    }
    seeds = [row["seed"] for row in sides["bars"]]
    true = Spans.from_mask(np.tile(test.marks, (len(seeds), 1)))
    scores = {
        "layer": span_f1(true, together(sides["layer"], "expected F1", n)),
        "bars": span_f1(true, together(sides["bars"], "tuned", n)),
    }
    groups = np.tile(np.arange(n), len(seeds))
    paired = compare(scores["layer"], scores["bars"], groups=groups, seed=0)
    bound = span_f1(true, together(sides["bars"], "tuned on the test", n))
    against_bound = compare(scores["layer"], bound, groups=groups, seed=0)
    per_seed = {
        f"{side}, {how}": [row["f1"][how] for row in sides[side]]
        for side in sides
        for how in sides[side][0]["f1"]
    }
    difference = np.subtract(per_seed["layer, expected F1"], per_seed["bars, tuned"])
    half = stats.t.ppf(0.975, len(seeds) - 1) * difference.std(ddof=1) / np.sqrt(len(seeds))
    return {
        "situation": name,
        "layer": SITUATIONS[name].layer,
        "windows": n,
        "seeds": seeds,
        "epochs": rows[0]["epochs"],
        "mean": {key: float(np.mean(values)) for key, values in per_seed.items()},
        "per_seed": per_seed,
        "chosen": [row["note"] for row in sides["bars"]],
        "difference": float(difference.mean()),
        "pooled_difference": paired.delta,
        "interval_over_windows": [paired.interval.low, paired.interval.high],
        "p_value": paired.p_value,
        "interval_over_seeds": [float(difference.mean() - half), float(difference.mean() + half)],
        "difference_to_tuned_on_the_test": against_bound.delta,
        "its_interval_over_windows": [against_bound.interval.low, against_bound.interval.high],
        "null": null,
        "ceiling": test.ceiling,
    }


def table(results: list[dict], *, command: str) -> str:
    words = {
        "one": "One expansion in every window: one-segment layer",
        "several": "None, one or several expansions: semi-Markov layer",
    }
    lines = ["# Structured span layers beside independent bars", "", INTRODUCTION.format(command=command)]
    for r in results:
        lines += ["", f"## {words[r['situation']]}", ""]
        lines += [f"| span F1@.5 | mean | {' | '.join(f'seed {s}' for s in r['seeds'])} |"]
        lines += ["|---" * (2 + len(r["seeds"])) + "|"]
        for key, values in r["per_seed"].items():
            lines += [f"| {key} | {np.mean(values):.3f} | {' | '.join(f'{v:.3f}' for v in values)} |"]
        low, high = r["interval_over_windows"]
        low_seed, high_seed = r["interval_over_seeds"]
        lines += [
            "",
            f"Layer (expected F1) less bars (tuned): **{r['difference']:+.3f}**, 95 % interval over "
            f"{len(r['seeds'])} seeds [{low_seed:+.3f}, {high_seed:+.3f}]; all seeds' spans pooled "
            f"{r['pooled_difference']:+.3f}, paired over {r['windows']:,} windows "
            f"[{low:+.3f}, {high:+.3f}]. Null (one fixed span): {r['null']:.3f}; ceiling: "
            f"{r['ceiling']:.3f}.",
            "",
            "Pooled, less the bars tuned on the test: "
            f"{r['difference_to_tuned_on_the_test']:+.3f}, interval over windows "
            f"[{r['its_interval_over_windows'][0]:+.3f}, {r['its_interval_over_windows'][1]:+.3f}].",
            "",
            f"Chosen on inner windows for the bars: {'; '.join(r['chosen'])}.",
        ]
    return "\n".join(lines) + "\n"


INTRODUCTION = """Made by `{command}`. Each seed draws 168 training and 42 inner windows of 105 bars anew and
trains JadeCompact with one head on the 38 features of the set `jade`, half of the windows upside down, AdamW,
one cycle; both sides have the same encoder, data, batches and steps, and nothing is stopped early. "tuned" is
decided on the inner windows, which the layers do not need; "tuned on the test" is decided on the reported
windows and stands here only as a bound on what tuning could give. The reported windows are fresh and the same
for all. The layers decide by `moola_models.expected_f1.decode_for_f1` with 64 samples, said beforehand; "most
probable" shows what the plain best path would have given. A span longer than the 20 free durations is neither
cut nor forbidden: each bar beyond costs one learned score."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--situation", choices=sorted(SITUATIONS), action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="+", help="these seeds, no table: to share the work")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--rows", type=Path, default=HERE.parent / "runs" / "structured_layers")
    parser.add_argument("--out", type=Path, default=HERE.parent / "packages" / "moola-models" / "docs")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.epochs, args.windows = 2, 3, 60
        args.rows, args.out = args.rows.with_name("structured_layers_quick"), args.rows.with_name("quick")
    torch.set_num_threads(1)
    args.rows.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in args.situation or SITUATIONS:
        test = reported_windows(name, args)
        rows = []
        for seed in args.only or range(args.seeds):
            for side in ("bars", "layer"):
                file = args.rows / f"{name}-{side}-{seed}-{args.epochs}-{args.windows}.json"
                if not file.exists():
                    write(file, json.dumps(run(name, side, seed, args, test)))
                rows.append(json.loads(file.read_text()))
                print(name, side, seed, rows[-1]["f1"], f"{rows[-1]['seconds']} s", flush=True)
        if args.only:
            continue
        null = fixed_span(windows_of(SITUATIONS[name], TRAIN + INNER, seed=1000), test)
        results.append(summary(name, rows, test, null))
    if args.only:
        return
    write(args.out / "structured_layers.json", json.dumps(results, indent=1) + "\n")
    write(args.out / "structured_layers.md", table(results, command="python benchmarks/structured_layers.py"))
    print((args.out / "structured_layers.md").read_text())


def write(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    with part.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


if __name__ == "__main__":
    main()
