"""100 epochs by fit without an inner part or a folder: the steps and nothing else."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_job import BATCH, LOSSES, TRAIN, Model, examples

from moola_train import Examples, FitConfig, Task, fit

VERSIONS = ["moola-train", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    data = Examples(x[:TRAIN], {name: t[:TRAIN] for name, t in targets.items()})
    tasks = [Task(name, loss) for name, loss in LOSSES.items()]
    fit(Model(), data, tasks, None, FitConfig(epochs=100, batch_size=BATCH, device="cpu"))
