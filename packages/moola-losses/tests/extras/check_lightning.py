"""Run by name where lightning is installed: pytest tests/extras/check_lightning.py.

requires: lightning
"""

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from moola_losses import resolve_balancer

TASKS = ("one", "two")
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice
WEIGHTED = [
    {"kind": "static", "weights": {"two": 3.0}},
    {"kind": "uncertainty", "log_sigma": {"two": -0.3}},
    {"kind": "dwa", "steps_per_epoch": 4},
]
COMPARED = [{"kind": "upgrad"}, {"kind": "db_mtl"}]


class Plain(nn.Module):
    """A trunk, two heads, and the mean squared error of each."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(3, 4)
        self.heads = nn.ModuleDict({task: nn.Linear(4, 1) for task in TASKS})

    def losses(self, batch):
        z = self.trunk(batch[0]).tanh()
        pairs = zip(TASKS, batch[1:], strict=True)
        return {task: (self.heads[task](z) - target).square().mean() for task, target in pairs}


class Module(lightning.LightningModule):
    """The same in Lightning; a balancer that compares gradients walks backward itself."""

    def __init__(self, settings, *, walks):
        super().__init__()
        self.plain = Plain()
        self.balancer = resolve_balancer(settings).build(TASKS)
        self.automatic_optimization = not walks

    def training_step(self, batch, number):
        losses = self.plain.losses(batch)
        if self.automatic_optimization:
            return self.balancer(losses)
        optimiser = self.optimizers()
        optimiser.zero_grad()
        total = self.balancer.backward(losses, shared=self.plain.trunk.parameters())
        optimiser.step()
        return total

    def configure_optimizers(self):
        return optimiser_of(self.plain, self.balancer)


def optimiser_of(plain, balancer):
    return torch.optim.Adam([{"params": list(plain.parameters())}, *balancer.param_groups()], lr=0.05)


def batches():
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x, x[:, :1], 9 * x[:, 1:2]), batch_size=4)


def trainer(folder=None, **changes):
    settings = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(
        accelerator="cpu", enable_checkpointing=False, default_root_dir=folder, **settings, **changes
    )


@pytest.mark.parametrize("settings", [*WEIGHTED, *COMPARED], ids=lambda s: s["kind"])
def test_three_epochs_in_lightning_are_those_of_a_plain_loop(settings, tmp_path):
    walks = settings in COMPARED
    torch.manual_seed(0)
    module = Module(settings, walks=walks)
    torch.manual_seed(0)
    plain, balancer = Plain(), resolve_balancer(settings).build(TASKS)
    trainer(tmp_path, max_epochs=3).fit(module, batches())
    optimiser = optimiser_of(plain, balancer)
    for _ in range(3):
        for batch in batches():
            optimiser.zero_grad()
            balancer.backward(plain.losses(batch), shared=plain.trunk.parameters())
            optimiser.step()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(module.plain.state_dict()[name], tensor)
    assert module.balancer.coefficients() == pytest.approx(balancer.coefficients())


def test_what_the_balancer_learnt_is_in_lightnings_checkpoint(tmp_path):
    module = Module({"kind": "uncertainty"}, walks=False)
    before = {name: tensor.clone() for name, tensor in module.balancer.state_dict().items()}
    fitted = trainer(tmp_path, max_epochs=2)
    fitted.fit(module, batches())
    fitted.save_checkpoint(tmp_path / "last.ckpt")
    again = Module({"kind": "uncertainty"}, walks=False)
    again.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"])
    for name, tensor in module.balancer.state_dict().items():
        assert torch.equal(again.balancer.state_dict()[name], tensor)
    assert any(not torch.equal(before[name], t) for name, t in again.balancer.state_dict().items())
