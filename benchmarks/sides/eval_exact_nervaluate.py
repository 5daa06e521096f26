"""nervaluate; it always computes its four scenarios, of which strict is the exact F1."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from eval_windows import by_window, windows
from nervaluate import Evaluator

VERSIONS = ["nervaluate"]


def prepare() -> tuple:
    return tuple(
        [[{"label": "x", "start": s, "end": e} for s, e in row] for row in by_window(rows)]
        for rows in windows()
    )


def once(state: tuple) -> float:
    return float(Evaluator(*state, tags=["x"], loader="dict").evaluate()["overall"]["strict"].f1)
