"""100 epochs of the hand-written loop, training alone."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_job import Model, bare_epoch, examples

VERSIONS = ["torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for epoch in range(100):
        bare_epoch(model, optimizer, x, targets, epoch)
