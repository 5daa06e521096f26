"""100 epochs by fit, with validation, span F1, records and an exact checkpoint after every epoch."""

import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_job import BATCH, INNER, LOSSES, TRAIN, Model, examples, span_f1

from moola_train import Examples, FitConfig, Task, fit

VERSIONS = ["moola-train", "torch"]


def prepare() -> tuple:
    torch.set_num_threads(1)
    return examples()


def once(state: tuple) -> None:
    x, targets = state
    split = (torch.arange(TRAIN + INNER) >= TRAIN).to(torch.int8)
    data = Examples(x, targets, split=split)
    inner = {name: t[TRAIN:] for name, t in targets.items()}

    def select(model: torch.nn.Module, part: str) -> dict[str, float]:
        return {"span_f1": span_f1(model(x[TRAIN:]), inner)}

    tasks = [Task(name, loss) for name, loss in LOSSES.items()]
    config = FitConfig(
        epochs=100, batch_size=BATCH, device="cpu", restore="last", evaluation_batch_size=INNER
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(Model(), data, tasks, None, config, folder=f"{folder}/run", select=select)
