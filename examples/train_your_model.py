# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-train", "torch"]
# ///
"""moola-train alone: a model of your own and two tasks of your own through the loop.

What to learn: a task ties a name to a target, one output of the model and a loss that returns a weighted
sum and a weight. Targets may be missing: a mask says where they are known. The run's folder holds every
number and the best weights, and a run that was stopped goes on bit for bit as if it had not been.

Run it: `python train_your_model.py` where the packages above are installed; `uv run python
examples/train_your_model.py` in a clone.
"""

import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from moola_train import (
    Callback,
    Examples,
    FitConfig,
    Row,
    Task,
    best_checkpoint,
    fit,
    load_model,
    read_records,
)
from moola_train.protocols import EpochState


class Bells(nn.Module):
    """Listens to a strike of 64 samples: which bell was it, and how hard was it struck?"""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.bell = nn.Linear(32, 3)
        self.force = nn.Linear(32, 1)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Returns an output for each task."""
        z = self.encoder(inputs)
        return {"bell": self.bell(z), "force": self.force(z)[:, 0]}


def cross_entropy(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of the bells: its weighted sum, and the sum of the weights."""
    counts = mask * weight
    return (functional.cross_entropy(output, target, reduction="none") * counts).sum(), counts.sum()


def squared(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of the force."""
    counts = mask * weight
    return ((output - target) ** 2 * counts).sum(), counts.sum()


def strikes(n: int) -> Examples:
    """Records n strikes of three bells with noise; the force of every third was not measured."""
    draw = torch.Generator().manual_seed(0)
    bell, force = torch.randint(0, 3, (n,), generator=draw), torch.rand(n, generator=draw) + 0.5
    time = torch.arange(64) / 64
    tone = torch.sin(2 * torch.pi * (bell[:, None] + 3) * time) * torch.exp(-3 * time) * force[:, None]
    sound = tone + 0.5 * torch.randn(n, 64, generator=draw)
    targets = {"bell": bell, "force": force}
    masks = {"bell": torch.ones(n, dtype=torch.bool), "force": torch.arange(n) % 3 > 0}
    split = (torch.arange(n) >= 300).to(torch.int8) + (torch.arange(n) >= 400).to(torch.int8)
    return Examples(sound, targets=targets, masks=masks, split=split)  # 0 train, 1 inner, 2 test


def accuracy(model: nn.Module, data: Examples, part: int) -> float:
    """Share of bells that are named right."""
    batch = data.batch((data.split == part).nonzero()[:, 0])
    return float((model.eval()(batch.inputs)["bell"].argmax(1) == batch.targets["bell"]).float().mean())


class CtrlC(Callback):
    """Presses Ctrl-C after the fifth epoch."""

    def on_epoch_end(self, state: EpochState) -> tuple[Row, ...]:
        """Is told of every finished epoch."""
        if state.epoch == 5:
            signal.raise_signal(signal.SIGINT)
        return ()


data = strikes(600)
tasks = [Task("bell", cross_entropy, classes=3), Task("force", squared)]
config = FitConfig(epochs=12, learning_rate=3e-3, device="cpu")
with tempfile.TemporaryDirectory() as folder:
    straight, stopped = Path(folder) / "straight", Path(folder) / "stopped"
    torch.manual_seed(0)
    with suppress(KeyboardInterrupt):  # everything is saved by then
        fit(Bells(), data, tasks, None, config, folder=stopped, callbacks=[CtrlC()])
    fit(Bells(), data, tasks, None, config, folder=stopped, resume=True)
    torch.manual_seed(0)
    model = Bells()
    result = fit(model, data, tasks, None, config, folder=straight)

    losses = [r for r in read_records(straight / "records.jsonl") if r.split == "inner" and r.name == "loss"]
    for task in ("bell", "force"):
        values = [r.value for r in losses if r.task == task]
        print(
            f"{task:>5}: inner loss {values[0]:.3f} after epoch 1, {values[-1]:.3f} after epoch {len(values)}"
        )
    same = [r for r in read_records(stopped / "records.jsonl") if r in losses] == losses
    print(f"stopped and gone on with: {'the same' if same else 'other'} numbers, bit for bit")
    load_model(model, best_checkpoint(straight))
right = accuracy(model, data, 2)
print(f"best epoch {result.best_epoch}; bells named right on test: {right:.3f}, by chance .333")
