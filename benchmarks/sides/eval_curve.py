"""How the cost of span F1 grows: one sequence of up to 10 million bars, a span every 60 bars on each side.

Run it where moola-eval is installed: python benchmarks/sides/eval_curve.py
"""

import platform
import statistics
import time
from importlib.metadata import version

import numpy as np

from moola_eval import Spans, bar_f1, span_f1
from moola_eval.matching import Collar

ROUNDS = 5


def marks(bars: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = np.arange(bars // 60) * 60
    out = []
    for _ in range(2):
        start = cell + rng.integers(5, 25, len(cell))
        step = np.zeros(bars + 1, dtype=np.int8)
        step[start] = 1
        step[start + rng.integers(4, 30, len(cell))] = -1
        out.append(np.cumsum(step[:-1], dtype=np.int8) > 0)
    return out[0], out[1]


def seconds(job: object) -> float:
    job()
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    names = ", ".join(f"{name} {version(name)}" for name in ("moola-eval", "numpy", "scipy"))
    print(f"Python {platform.python_version()}, {names}; medians of {ROUNDS} after one warm-up\n")
    print("| bars | spans a side | cutting ms | IoU F1 ms | collar F1 ms | IoU F1, ns a span | bar F1 ms |")
    print("|---|---|---|---|---|---|---|")
    for bars in (10_000, 100_000, 1_000_000, 3_000_000, 10_000_000):
        true, pred = marks(bars, 0)
        a, b = (Spans.from_mask(m, lengths=[bars]) for m in (true, pred))
        cut = seconds(lambda t=true, p=pred, n=bars: [Spans.from_mask(m, lengths=[n]) for m in (t, p)])
        iou = seconds(lambda a=a, b=b: span_f1(a, b))
        collar = seconds(lambda a=a, b=b: span_f1(a, b, criterion=Collar(2, 2)))
        bar = seconds(lambda t=true, p=pred: bar_f1(t[None], p[None]))
        row = [f"{1e3 * s:.2f}" for s in (cut, iou, collar)]
        print(f"| {bars:,} | {len(a):,} | {' | '.join(row)} | {1e9 * iou / len(a):.0f} | {1e3 * bar:.2f} |")


if __name__ == "__main__":
    main()
