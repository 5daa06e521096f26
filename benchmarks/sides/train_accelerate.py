"""100 epochs of a loop with Accelerate, training alone."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset
from train_job import BATCH, TASKS, TRAIN, Model, examples, total_loss

VERSIONS = ["accelerate", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    accelerator = Accelerator(cpu=True)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    data = TensorDataset(x[:TRAIN], *(targets[name][:TRAIN] for name in TASKS))
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for _ in range(100):
        for inputs, *found in loader:
            optimizer.zero_grad()
            accelerator.backward(total_loss(model(inputs), dict(zip(TASKS, found, strict=True))))
            optimizer.step()
