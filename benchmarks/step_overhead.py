"""What `fit` adds to a step of a tiny model beside the bare loop: CPU time, alternating, 7,500 steps a turn.

OMP_NUM_THREADS=1 python benchmarks/step_overhead.py
"""

import statistics
import sys
import time
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import train_step_bare
import train_step_job
import train_step_moola

TURNS, EPOCHS = 9, 50


def seconds(side: ModuleType) -> float:
    side.EPOCHS = EPOCHS
    state = side.prepare()
    begun = time.process_time()
    side.once(state)
    return time.process_time() - begun


def main() -> None:
    steps = EPOCHS * train_step_job.EXAMPLES // train_step_job.BATCH
    turns = [(seconds(train_step_bare), seconds(train_step_moola)) for _ in range(TURNS)]
    bare, ours = (statistics.median(turn[i] for turn in turns) / steps * 1e6 for i in (0, 1))
    print(f"bare {bare:.0f} us a step, fit {ours:.0f} us, its start included: {ours - bare:+.0f} us")


if __name__ == "__main__":
    main()
