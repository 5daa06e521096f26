"""Span F1 within a collar of one bar at both ends."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from eval_windows import K, N, windows

from moola_eval import Spans, span_f1
from moola_eval.matching import Collar

VERSIONS = ["moola-eval", "numpy", "scipy"]


def prepare() -> tuple:
    return tuple(Spans.of(*rows.T, lengths=[K] * N) for rows in windows())


def once(state: tuple) -> float:
    return span_f1(*state, criterion=Collar(1, 1)).value
