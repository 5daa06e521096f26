"""The input of the job without a model: 100 epochs of batches, in the order of the seed."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_job import BATCH, TRAIN, examples

from moola_train import Examples
from moola_train.feed import gather, shares
from moola_train.sampling import Sampler, Shuffle

VERSIONS = ["moola-train", "torch"]


def prepare() -> Examples:
    torch.set_num_threads(1)
    x, targets = examples()
    return Examples(x[:TRAIN], {name: t[:TRAIN] for name, t in targets.items()})


def once(data: Examples) -> None:
    sampler = Sampler(Shuffle(), data, torch.arange(TRAIN), seed=0)
    for epoch in range(1, 101):
        for share in shares(sampler.epoch(epoch), batch_size=BATCH, filled=False, part=lambda rows: rows):
            gather(data, share, torch.device("cpu"))
