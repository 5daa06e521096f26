"""100 epochs by fit, with validation, span F1, records and an exact checkpoint after every epoch."""

import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_job import BATCH, INNER, LOSSES, TRAIN, Model, examples, span_f1

from moola_train import Batch, Examples, FitConfig, Task, fit

VERSIONS = ["moola-train", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


class SpanF1:
    """Measures what the evaluation's own pass over the inner part returned; it is one batch."""

    def observe(self, outputs: dict, batch: Batch) -> None:
        self.found = span_f1(outputs, batch.targets)

    def __call__(self, model: torch.nn.Module, split: str) -> dict[str, float]:
        return {"span_f1": self.found}


def once(state: tuple) -> None:
    x, targets = state
    split = (torch.arange(TRAIN + INNER) >= TRAIN).to(torch.int8)
    data = Examples(x, targets, split=split)
    tasks = [Task(name, loss) for name, loss in LOSSES.items()]
    config = FitConfig(
        epochs=100, batch_size=BATCH, device="cpu", restore="last", evaluation_batch_size=INNER
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(Model(), data, tasks, None, config, folder=f"{folder}/run", select=SpanF1())
