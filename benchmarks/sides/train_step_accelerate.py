"""600 steps of a loop with Accelerate on a tiny model."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset
from train_step_job import BATCH, EPOCHS, Tiny, examples, total_loss

VERSIONS = ["accelerate", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    accelerator = Accelerator(cpu=True)
    model = Tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    loader = DataLoader(TensorDataset(x, targets["a"], targets["b"]), batch_size=BATCH, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for _ in range(EPOCHS):
        for inputs, a, b in loader:
            optimizer.zero_grad()
            accelerator.backward(total_loss(model(inputs), {"a": a, "b": b}))
            optimizer.step()
