"""600 steps of Fabric's loop on a tiny model."""

import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from lightning.fabric import Fabric
from torch.utils.data import DataLoader, TensorDataset
from train_step_job import BATCH, EPOCHS, Tiny, examples, total_loss

VERSIONS = ["lightning", "torch"]


def prepare() -> tuple:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    fabric = Fabric(accelerator="cpu", devices=1)
    model = Tiny()
    model, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True))
    data = TensorDataset(x, targets["a"], targets["b"])
    loader = fabric.setup_dataloaders(DataLoader(data, batch_size=BATCH, shuffle=True))
    for _ in range(EPOCHS):
        for inputs, a, b in loader:
            optimizer.zero_grad()
            fabric.backward(total_loss(model(inputs), {"a": a, "b": b}))
            optimizer.step()
