"""One seed of the job in a process of its own: 30 epochs. In a module that processes can import."""

import multiprocessing
import multiprocessing.pool

import torch
from train_job import BATCH, LOSSES, Model, examples

from moola_train import Examples, FitConfig, Task, fit


def seed(number: int) -> None:
    """Trains one seed, with one thread."""
    data = Examples(*examples())
    tasks = [Task(name, loss) for name, loss in LOSSES.items()]
    fit(Model(number), data, tasks, None, FitConfig(epochs=30, batch_size=BATCH, device="cpu", seed=number))


def pool(count: int) -> multiprocessing.pool.Pool:
    """Starts processes and waits until each has loaded everything."""
    made = multiprocessing.get_context("fork").Pool(count)
    made.map(torch.set_num_threads, [1] * count, chunksize=1)
    return made
