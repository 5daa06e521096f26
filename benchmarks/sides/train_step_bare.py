"""600 steps of the hand-written loop on a tiny model."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_step_job import BATCH, EPOCHS, EXAMPLES, Tiny, examples, total_loss

VERSIONS = ["torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    model = Tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for epoch in range(EPOCHS):
        order = torch.randperm(EXAMPLES, generator=torch.Generator().manual_seed(epoch))
        for start in range(0, EXAMPLES, BATCH):
            index = order[start : start + BATCH]
            optimizer.zero_grad()
            total_loss(model(x[index]), {name: t[index] for name, t in targets.items()}).backward()
            optimizer.step()
