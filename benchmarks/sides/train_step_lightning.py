"""600 steps of Lightning's Trainer on a tiny model, everything switched off that can be."""

import logging
import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import lightning
from torch.utils.data import DataLoader, TensorDataset
from train_step_job import BATCH, EPOCHS, Tiny, examples, total_loss

VERSIONS = ["lightning", "torch"]


class Job(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = Tiny()

    def training_step(self, batch: list, number: int) -> torch.Tensor:
        return total_loss(self.model(batch[0]), {"a": batch[1], "b": batch[2]})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3, fused=True)


def prepare() -> tuple:
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )
    data = TensorDataset(x, targets["a"], targets["b"])
    trainer.fit(Job(), DataLoader(data, batch_size=BATCH, shuffle=True))
