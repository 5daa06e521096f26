"""The same interval as it is usually written: draw windows, score them again, 2,000 times."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from eval_windows import K, N, windows

from moola_eval import Spans, span_f1

VERSIONS = ["moola-eval", "numpy", "scipy"]


def prepare() -> tuple:
    return tuple(Spans.of(*rows.T, lengths=[K] * N) for rows in windows())


def once(state: tuple) -> tuple:
    true, pred = state
    rng = np.random.default_rng(0)
    values = []
    for _ in range(2000):
        drawn = rng.integers(0, N, N)
        values.append(span_f1(true.take(drawn), pred.take(drawn)).value)
    return tuple(np.quantile(values, [0.025, 0.975]))
