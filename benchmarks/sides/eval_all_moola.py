"""Bar F1 micro and by window, span F1 at three IoUs, exact and within a collar, from two masks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from eval_windows import mask, windows

from moola_eval import Spans, bar_f1, span_f1
from moola_eval.matching import Collar, Exact

VERSIONS = ["moola-eval", "numpy", "scipy"]


def prepare() -> tuple:
    return tuple(mask(rows) for rows in windows())


def once(state: tuple) -> np.ndarray:
    true, pred = state
    spans = Spans.from_mask(true), Spans.from_mask(pred)
    scores = [bar_f1(true, pred), bar_f1(true, pred, average="window", empty="skip")]
    scores += [span_f1(*spans, criterion=rule) for rule in (0.3, 0.5, 0.75, Exact(), Collar(1, 1))]
    return np.array([score.value for score in scores])
