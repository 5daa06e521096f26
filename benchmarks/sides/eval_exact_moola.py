"""Exact span F1 from spans."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from eval_windows import K, N, windows

from moola_eval import Spans, span_f1
from moola_eval.matching import Exact

VERSIONS = ["moola-eval", "numpy", "scipy"]


def prepare() -> tuple:
    return tuple(Spans.of(*rows.T, lengths=[K] * N) for rows in windows())


def once(state: tuple) -> float:
    return span_f1(*state, criterion=Exact()).value
