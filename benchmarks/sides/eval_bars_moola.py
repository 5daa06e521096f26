"""Bar F1, micro and by window."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from eval_windows import mask, windows

from moola_eval import bar_f1

VERSIONS = ["moola-eval", "numpy"]


def prepare() -> tuple:
    return tuple(mask(rows) for rows in windows())


def once(state: tuple) -> tuple:
    return bar_f1(*state).value, bar_f1(*state, average="window", empty="zero").value
