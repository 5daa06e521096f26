"""One seed of the job in a process of its own: 30 epochs."""

import multiprocessing
import multiprocessing.pool
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

VERSIONS = ["moola-train", "torch"]


def seed(number: int) -> None:
    """Trains one seed, with one thread."""
    from train_job import BATCH, LOSSES, Model, examples

    from moola_train import Examples, FitConfig, Task, fit

    data = Examples(*examples())
    tasks = [Task(name, loss) for name, loss in LOSSES.items()]
    fit(Model(number), data, tasks, None, FitConfig(epochs=30, batch_size=BATCH, device="cpu", seed=number))


def pool(count: int) -> multiprocessing.pool.Pool:
    """Starts processes and waits until each has loaded everything."""
    made = multiprocessing.get_context("fork").Pool(count)
    made.map(torch.set_num_threads, [1] * count, chunksize=1)
    return made


def prepare() -> multiprocessing.pool.Pool:
    return pool(1)


def once(made: multiprocessing.pool.Pool) -> None:
    made.map(seed, [0], chunksize=1)
