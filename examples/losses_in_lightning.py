# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-losses", "lightning", "torch"]
# ///
"""moola-losses alone: a balancer and task losses inside a Lightning module.

What to learn: a balancer is a module that turns `{task: loss}` into one scalar, so it goes where the sum of
losses stood; what it learns itself joins the optimiser by `param_groups()`, and Lightning saves it with the
model. Here one task's loss is a hundred times the other's: the plain sum learns the large one and starves
the small one.

Run it: `python losses_in_lightning.py` where the packages above are installed; in a clone `uv run --with
lightning python examples/losses_in_lightning.py`.
"""

import logging
import warnings

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from moola_losses import Balancer, Huber, resolve_balancer

TASKS = ("depth", "tilt")


class Probe(lightning.LightningModule):
    """Two numbers from eight readings, by one small trunk."""

    def __init__(self, balancer: Balancer) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 4), nn.Tanh())
        self.heads = nn.ModuleDict({task: nn.Linear(4, 1) for task in TASKS})
        self.loss = Huber(delta=1e6)  # squared wherever we look
        self.balancer = balancer

    def losses(self, batch: list[Tensor]) -> dict[str, Tensor]:
        """The mean loss of each task; a loss gives its weighted sum and the sum of the weights."""
        z, known = self.trunk(batch[0]), torch.ones(len(batch[0]), dtype=torch.bool)
        found = {}
        for task, target in zip(TASKS, batch[1:], strict=True):
            total, weight = self.loss(self.heads[task](z), target, known, torch.ones(len(target)))
            found[task] = total / weight
        return found

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        """Gives Lightning the balanced scalar to walk backward from."""
        total: Tensor = self.balancer(self.losses(batch))
        return total

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Puts the balancer's own parameters into a group of their own."""
        own = [*self.trunk.parameters(), *self.heads.parameters()]
        groups = [{"params": own}, *({**group, "lr": 0.05} for group in self.balancer.param_groups())]
        return torch.optim.Adam(groups, lr=0.02)


def readings(n: int, *, seed: int) -> TensorDataset:
    """Draws n readings: the depth in metres, the tilt in radians, both bent functions of them."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 8, generator=draw)
    return TensorDataset(x, torch.sin(x[:, :1] + x[:, 1:2]), 0.1 * torch.sin(x[:, 2:3] - x[:, 3:4]))


logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
train, test = readings(512, seed=1), readings(1000, seed=2)
for settings in ({"kind": "static"}, {"kind": "uncertainty", "init": "auto"}):
    torch.manual_seed(0)
    module = Probe(resolve_balancer(settings).build(TASKS))
    trainer = lightning.Trainer(
        max_epochs=12,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(train, batch_size=32, shuffle=True))
    with torch.no_grad():
        found = module.losses(list(test.tensors))
    constant = {t: float(v.var(correction=0)) / 2 for t, v in zip(TASKS, test.tensors[1:], strict=True)}
    left = ", ".join(f"{task} {float(found[task]) / constant[task]:.2f}" for task in TASKS)
    print(f"{settings['kind']:>11}: share of the variance that is left on test: {left}")
