"""seqeval's F1, strict, IOB2; tags are made before the clock starts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from eval_windows import K, by_window, windows
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

VERSIONS = ["seqeval", "numpy"]


def tags(rows: list[list[tuple[int, int]]]) -> list[list[str]]:
    out = []
    for row in rows:
        line = ["O"] * K
        for start, end in row:
            line[start : end + 1] = ["B-x"] + ["I-x"] * (end - start)
        out.append(line)
    return out


def prepare() -> tuple:
    return tuple(tags(by_window(rows)) for rows in windows())


def once(state: tuple) -> float:
    return float(f1_score(*state, mode="strict", scheme=IOB2))
