"""What jade-best costs beside the first system: a training on 168 windows, and marking many windows.

OMP_NUM_THREADS=1 python benchmarks/best_cost.py

CPU seconds in one process, sides in turn. The first system's job is the hand-written loop that
`job_overhead.py` times, training alone. Ours is `fit` with its selection on 42 inner windows after every
epoch. Marking is from windows to decided spans, in batches of 256: the plain network decides each bar by a
threshold, as `moola predict` does for every network.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import train_bare

from moola_train.fit import fit
from moola_train.heap import keep_heap
from moola_train.recipes.answers import answers_of
from moola_train.recipes.experiment import Experiment, experiment
from moola_train.recipes.run_config import DecodingSection, RunConfig
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.study_data import BenchmarkSource, material
from moola_train.recipes.trial import seeded

TURNS = 3
MARKED = 2_000


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def trained(config: RunConfig) -> tuple[Experiment, Callable[[], object]]:
    """Everything ready on 168 windows, 42 inner ones and many to mark; and the training."""
    drawn = material(BenchmarkSource(windows=210, fresh=MARKED), config.data, seed=0)
    made = experiment(drawn.windows, config)
    return made, lambda: fit(made.model, made.data, made.tasks, made.balancer, config.fit, select=made.scores)


def marking(made: Experiment, config: RunConfig, decoding: DecodingSection) -> Callable[[], object]:
    rows = np.flatnonzero(made.windows.split == 2)
    return lambda: answers_of(made.model, made.data, rows, config.data, decoding)


def main() -> None:
    torch.set_num_threads(1)
    keep_heap()
    best, origin = (seeded(read_run_settings(Path(name)), 0) for name in ("jade-best", "origin"))
    state = train_bare.prepare()
    times: dict[str, list[float]] = {}

    def add(name: str, work: Callable[[], object]) -> None:
        times.setdefault(name, []).append(seconds(work))

    for _ in range(TURNS):
        add("first system's job", lambda: train_bare.once(state))
        made, training = trained(best)
        add("jade-best: training", training)
        plain, _ = trained(origin)
        for _ in range(2):  # the second of each pair counts: the first compiles
            add("plain network: marking", marking(plain, origin, DecodingSection(kind="threshold")))
            add(
                "jade-best: marking, probabilities alone",
                marking(made, best, DecodingSection(kind="threshold")),
            )
            add("jade-best: marking, most probable spans", marking(made, best, DecodingSection(kind="best")))
            add("jade-best: marking, expected F1", marking(made, best, best.decoding))
        for name in times:
            if "marking" in name:
                del times[name][-2]
    print("| side | CPU seconds, median | times the first |\n|---|---|---|")
    for name, found in times.items():
        beside = "plain network: marking" if "marking" in name else "first system's job"
        ratio = statistics.median(found) / statistics.median(times[beside])
        print(f"| {name} | {statistics.median(found):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
