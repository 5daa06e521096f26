"""One seed of the job in a process of its own."""

import multiprocessing.pool
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from train_seeds import pool, seed

VERSIONS = ["moola-train", "torch"]


def prepare() -> multiprocessing.pool.Pool:
    return pool(1)


def once(made: multiprocessing.pool.Pool) -> None:
    made.map(seed, [0], chunksize=1)
