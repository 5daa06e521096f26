"""A score above the ceiling proves a leak: one data set, one model, two ways to cross-validate.

Windows of 105 bars start every 35 bars, so each bar stands in three of them. A random split puts copies of a
bar on both sides; a purged split leaves out every training window that depends on a bar of the test fold.
Both choose between a modest and a memorising model. The benchmark knows the best score possible.

Needs the extra `boost`: ``pip install "moola-data[boost]"``. Prints Markdown.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import KFold

from moola_data.purged_kfold import PurgedKFold
from moola_data.split_audit import audit_split
from moola_data.synthetic import Benchmark, benchmark
from moola_data.window_split import window_extents
from moola_data.windows import window_starts

Floats = npt.NDArray[np.float64]

LENGTH, STRIDE, FOLDS = 105, 35, 5
REACH, BACK = 10, 50
"""Bars to either side of a bar that its features show, and bars back over which their unit is taken."""
MODELS = {
    "modest": {"max_iter": 80, "max_leaf_nodes": 15, "min_samples_leaf": 60, "learning_rate": 0.1},
    "memorising": {"max_iter": 60, "max_leaf_nodes": 800, "min_samples_leaf": 1, "learning_rate": 0.3},
}


def bar_table(bench: Benchmark) -> Floats:
    """What the bars around each bar look like, in units of the mean range so far: (N, 4 REACH + 2)."""
    bars = bench.bars
    spread = np.log(bars.high / bars.low)
    total = np.concatenate([np.zeros(BACK), np.cumsum(spread)])
    unit = (total[BACK:] - np.roll(total, BACK)[BACK:]) / np.minimum(np.arange(1, len(spread) + 1), BACK)
    close = np.pad(np.log(bars.close), REACH, mode="edge")
    spread = np.pad(spread, REACH, mode="edge")
    n = len(unit)
    moves = [close[i : i + n] - close[REACH : REACH + n] for i in range(2 * REACH + 1)]
    ranges = [spread[i : i + n] for i in range(2 * REACH + 1)]
    return np.stack(moves + ranges, axis=1) / unit[:, None]


def bar_labels(bench: Benchmark) -> npt.NDArray[np.bool_]:
    """Whether each bar lies in an expansion: (N,)."""
    edge = np.zeros(len(bench.bars) + 1, np.int64)
    np.add.at(edge, bench.truth.start, 1)
    np.add.at(edge, bench.truth.end + 1, -1)
    return np.cumsum(edge)[:-1] > 0


def f1(predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> float:
    """Micro F1 of bars."""
    return float(2 * (predicted & true).sum() / (predicted.sum() + true.sum()))


class Detector:
    """A boosted model of single bars that marks what raises its own expected F1."""

    def __init__(self, kind: str, x: Floats, y: npt.NDArray[np.bool_], seed: int) -> None:
        self.model = HistGradientBoostingClassifier(
            **MODELS[kind], early_stopping=False, random_state=seed
        ).fit(x, y)

    def mark(self, x: Floats) -> npt.NDArray[np.bool_]:
        """Marks bars of a table (n, columns): (n,)."""
        p = self.model.predict_proba(x)[:, 1]
        ranked = np.sort(p)[::-1]
        best = (2 * np.cumsum(ranked) / (np.arange(1, len(p) + 1) + p.sum())).max()
        return np.asarray(p >= best / 2)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--windows", type=int, default=130, help="windows' worth of bars to label")
    args = parser.parse_args()
    print("# A score above the ceiling proves a leak\n")
    print(
        f"Bar F1 of a boosted model of single bars (scikit-learn {sklearn.__version__}) on\n"
        f"{args.windows * LENGTH:,} synthetic bars (`benchmark`, snr 1.25): windows of {LENGTH} bars every "
        f"{STRIDE} bars, {FOLDS} folds.\n*Fresh* is the model that a cross-validation prefers, refitted on "
        "everything and scored on bars of another seed.\n"
    )
    print(
        "| seed | split | shared bars, all folds | CV modest | CV memorising | preferred | fresh | ceiling "
        "| verdict |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for seed in args.seeds:
        bench = benchmark(args.windows, seed=seed, per_stretch=args.windows)
        other = benchmark(400, seed=1000 + seed, per_stretch=400)
        x, y = bar_table(bench), bar_labels(bench)
        starts = window_starts(bench.bars.segment, length=LENGTH, stride=STRIDE, first=bench.warmup)
        # A window depends on its bars, on its labels and on what the model sees around both.
        first, last = window_extents(bench.truth, starts, length=LENGTH)
        times = {"prediction_times": first - BACK, "evaluation_times": last + REACH}
        splitters = {
            "random": KFold(FOLDS, shuffle=True, random_state=seed),
            "purged": PurgedKFold(FOLDS, **times),
        }
        rows = starts[:, None] + np.arange(LENGTH)
        fresh = (other.starts[:, None] + np.arange(LENGTH)).ravel()
        fresh_x, fresh_y = bar_table(other)[fresh], bar_labels(other)[fresh]
        ceiling = bench.ceiling.bar.f1
        for name, splitter in splitters.items():
            scores: dict[str, list[float]] = {kind: [] for kind in MODELS}
            shared = 0
            for train, test in splitter.split(starts):
                shared += len(audit_split(train, test, **times).shared_bars())
                a, b = rows[train].ravel(), rows[test].ravel()
                for kind in MODELS:
                    scores[kind].append(f1(Detector(kind, x[a], y[a], seed).mark(x[b]), y[b]))
            means = {kind: float(np.mean(values)) for kind, values in scores.items()}
            preferred = max(means, key=lambda kind: means[kind])
            a = rows.ravel()
            real = f1(Detector(preferred, x[a], y[a], seed).mark(fresh_x), fresh_y)
            verdict = "**impossible: a leak**" if max(means.values()) > ceiling else "possible"
            cells = (
                seed,
                name,
                f"{shared:,}",
                f"{means['modest']:.3f}",
                f"{means['memorising']:.3f}",
                preferred,
                f"{real:.3f}",
                f"{ceiling:.3f}",
                verdict,
            )
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(
        "\nThe ceiling is the best expected bar F1 of a detector that knows the whole stream and the world "
        "it comes from.\nWritten by `scripts/leak_demo.py`; the numbers follow from the seeds."
    )


if __name__ == "__main__":
    main()
