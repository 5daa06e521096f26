"""100 epochs of Lightning's Trainer with validation, its CSV logger and a checkpoint after every epoch."""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset
from train_job import BATCH, INNER, TASKS, TRAIN, Model, examples, span_f1, total_loss

VERSIONS = ["lightning", "torch"]


class Job(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def training_step(self, batch: list, number: int) -> torch.Tensor:
        return total_loss(self.model(batch[0]), dict(zip(TASKS, batch[1:], strict=True)))

    def validation_step(self, batch: list, number: int) -> None:
        outputs, targets = self.model(batch[0]), dict(zip(TASKS, batch[1:], strict=True))
        self.log("loss", total_loss(outputs, targets))
        self.log("span_f1", span_f1(outputs, targets))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3, fused=True)


def prepare() -> tuple:
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    parts = [
        TensorDataset(x[part], *(targets[name][part] for name in TASKS))
        for part in (slice(None, TRAIN), slice(TRAIN, None))
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=100,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=CSVLogger(folder),
            callbacks=[ModelCheckpoint(folder, every_n_epochs=1)],
            num_sanity_val_steps=0,
        )
        trainer.fit(
            Job(),
            DataLoader(parts[0], batch_size=BATCH, shuffle=True),
            DataLoader(parts[1], batch_size=INNER),
        )
