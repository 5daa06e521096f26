"""prts: flat bias, reciprocal cardinality, alpha 0, window by window; it cannot take an empty side."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from eval_windows import mask, windows
from prts import ts_precision, ts_recall

VERSIONS = ["prts", "numpy"]


def prepare() -> tuple:
    true, pred = windows()
    kept = np.unique(pred[:, 0])
    return mask(true)[kept].astype(int), mask(pred)[kept].astype(int)


def once(state: tuple) -> np.ndarray:
    rules = {"cardinality": "reciprocal", "bias": "flat"}
    rows = [
        (ts_precision(t, p, alpha=0.0, **rules), ts_recall(t, p, alpha=0.0, **rules))
        for t, p in zip(*state, strict=True)
    ]
    return np.array(rows).mean(axis=0)
