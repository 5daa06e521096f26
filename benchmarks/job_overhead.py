"""What `fit` adds to a job of 100 epochs beside the bare loop in one process: both have the same heap.

OMP_NUM_THREADS=1 python benchmarks/job_overhead.py

Processes that run the same differ by a few percent in where their memory lies; here sides alternate inside
one. It is CPU time, so that other work on the machine counts little; the thread that writes our checkpoints
counts.
"""

import statistics
import sys
import time
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import train_bare
import train_bare_work
import train_moola
import train_moola_bare

from moola_train.heap import keep_heap

TURNS = 3
SIDES = {
    "bare loop: training alone": train_bare,
    "moola-train: training alone": train_moola_bare,
    "bare loop: validation, F1, a line, a checkpoint": train_bare_work,
    "moola-train: validation, F1, records, checkpoints": train_moola,
}


def seconds(side: ModuleType) -> float:
    state = side.prepare()
    begun = time.process_time()
    side.once(state)
    return time.process_time() - begun


def main() -> None:
    keep_heap()
    turns = [[seconds(side) for side in SIDES.values()] for _ in range(TURNS + 1)][1:]  # the first warms up
    print("| side | CPU seconds, median | least | over training alone |\n|---|---|---|---|")
    for name, found in zip(SIDES, zip(*turns, strict=True), strict=True):
        ratio = statistics.median(f / turn[0] for f, turn in zip(found, turns, strict=True))
        print(f"| {name} | {statistics.median(found):.1f} | {min(found):.1f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
