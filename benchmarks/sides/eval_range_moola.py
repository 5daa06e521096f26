"""Range-based precision and recall of each window in which something is predicted."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from eval_windows import K, windows

from moola_eval import Spans
from moola_eval.range_score import range_f1

VERSIONS = ["moola-eval", "numpy", "scipy"]


def prepare() -> tuple:
    true, pred = windows()
    kept = np.unique(pred[:, 0])
    lengths = np.full(len(kept), K)
    true = true[np.isin(true[:, 0], kept)]
    return tuple(
        Spans.of(np.searchsorted(kept, r[:, 0]), r[:, 1], r[:, 2], lengths=lengths) for r in (true, pred)
    )


def once(state: tuple) -> np.ndarray:
    score = range_f1(*state)
    return np.stack([score.parts[name](score.sums) for name in ("precision", "recall")]).mean(axis=1)
