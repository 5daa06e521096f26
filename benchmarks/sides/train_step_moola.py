"""600 steps of fit on a tiny model."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_step_job import BATCH, EPOCHS, Tiny, examples, squared

from moola_train import Examples, FitConfig, Task, fit

VERSIONS = ["moola-train", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    data = Examples(*state)
    tasks = [Task("a", squared), Task("b", squared)]
    fit(Tiny(), data, tasks, None, FitConfig(epochs=EPOCHS, batch_size=BATCH, device="cpu"))
