"""A small model with dropout and two invented tasks, shared by the tests of the loop."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from moola_train import Examples, FitConfig, Task


class TwoHeads(nn.Module):
    def __init__(self, *, dropout: float = 0.3) -> None:
        super().__init__()
        self.trunk = nn.Linear(5, 8)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(dropout)
        self.head_kind = nn.Linear(8, 3)
        self.head_size = nn.Linear(8, 1)

    def encode(self, inputs):
        return self.dropout(torch.tanh(self.norm(self.trunk(inputs))))

    def heads(self, z):
        return {"kind": self.head_kind(z), "size": self.head_size(z)[:, 0]}

    def forward(self, inputs):
        return self.heads(self.encode(inputs))


class LogSigmas(nn.Module):
    """A balancer with parameters of its own, in the manner of learned variances."""

    def __init__(self, tasks) -> None:
        super().__init__()
        self.log_sigma = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in tasks})

    def forward(self, losses):
        return torch.stack(
            [torch.exp(-2 * self.log_sigma[t]) * loss + self.log_sigma[t] for t, loss in losses.items()]
        ).sum()


class RandomWeights(nn.Module):
    """A balancer that draws its weights anew at every step."""

    def __init__(self, tasks) -> None:
        super().__init__()

    def forward(self, losses):
        weights = torch.softmax(torch.randn(len(losses)), 0)
        return (weights * torch.stack(tuple(losses.values()))).sum()


class MovingScale(nn.Module):
    """A balancer with a buffer: each loss is divided by its running mean."""

    def __init__(self, tasks) -> None:
        super().__init__()
        self.tasks = list(tasks)
        self.register_buffer("mean", torch.ones(len(self.tasks)))

    def forward(self, losses):
        rows = [self.tasks.index(task) for task in losses]
        values = torch.stack(tuple(losses.values()))
        self.mean[rows] = 0.9 * self.mean[rows] + 0.1 * values.detach()
        return (values / self.mean[rows]).sum()


class DualCone(nn.Module):
    """A gradient balancer in the manner of UPGrad: no task's gradient points against the common step.

    Each task's gradient is projected onto the cone of directions that hurt no task; for two tasks the
    projection has a closed form. With several ranks, what decides is averaged over them, and ``.grad`` gets
    a part whose mean over the ranks is the gradient.
    """

    needs_shared = True

    def __init__(self, tasks, *, space="parameters") -> None:
        super().__init__()
        self.tasks, self.space = list(tasks), space
        self.register_buffer("last", torch.full((len(self.tasks),), torch.nan, dtype=torch.float64))

    def coefficients(self):
        return dict(zip(self.tasks, self.last.tolist(), strict=True))

    def backward(self, losses, *, shared=None, scaler=None, retain_graph=False, representation=None):
        cut = [representation] if self.space == "representation" else list(shared)
        rows = []
        for loss in losses.values():
            slopes = torch.autograd.grad(loss, cut, retain_graph=True, allow_unused=True)
            filled = [torch.zeros_like(c) if g is None else g for c, g in zip(cut, slopes, strict=True)]
            rows.append(torch.cat([g.reshape(-1) for g in filled]))
        jacobian = torch.stack(rows)
        many = torch.distributed.is_initialized()
        if many and self.space == "parameters":
            torch.distributed.all_reduce(jacobian)
            jacobian /= torch.distributed.get_world_size()
        gram = jacobian @ jacobian.T
        if many and self.space == "representation":
            torch.distributed.all_reduce(gram)
        weights = torch.ones(len(rows), dtype=gram.dtype)
        if len(rows) == 2 and gram[0, 1] < 0:
            weights = 1 - gram[0, 1] / gram.diagonal()
        self.last = torch.full((len(self.tasks),), torch.nan, dtype=torch.float64)
        self.last[[self.tasks.index(t) for t in losses]] = weights.detach().double()
        total = (weights.detach() * torch.stack(tuple(losses.values()))).sum()
        (total if scaler is None else scaler.scale(total)).backward(retain_graph=retain_graph)
        return total.detach()


GRADIENT_BALANCERS = {
    "dual parameters": DualCone,
    "dual representation": lambda tasks: DualCone(tasks, space="representation"),
}

BALANCERS = {"sigmas": LogSigmas, "random": RandomWeights, "moving": MovingScale}


def kind_loss(output, target, mask, weight):
    each = nn.functional.cross_entropy(output, target, reduction="none")
    return (each * mask * weight).sum(), (mask * weight).sum()


def size_loss(output, target, mask, weight):
    each = (output - target) ** 2
    return torch.where(mask, each * weight, 0).sum(), (mask * weight).sum()


class Pairs(Examples):
    """Examples that can be turned to float64."""

    def double(self):
        self.inputs, self.weight = self.inputs.double(), self.weight.double()
        self.targets["size"] = self.targets["size"].double()
        return self


def make_data(n: int = 70, *, seed: int = 5, inner: int = 14) -> Pairs:
    g = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 5, generator=g)
    size = inputs @ torch.tensor([1.0, -1.0, 0.5, 0.0, 0.0]) + 0.1 * torch.randn(n, generator=g)
    split = torch.zeros(n, dtype=torch.int8)
    split[n - inner :] = 1
    return Pairs(
        inputs,
        targets={"kind": torch.randint(0, 3, (n,), generator=g), "size": size},
        masks={"size": torch.rand(n, generator=g) < 0.8},
        weight=torch.rand(n, generator=g) + 0.5,
        split=split,
    )


def make_model(seed: int = 1, *, dropout: float = 0.3) -> TwoHeads:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TwoHeads(dropout=dropout)


@pytest.fixture
def small() -> SimpleNamespace:
    """Makers of everything a run needs: model, data, tasks, balancer, config."""
    tasks = (Task("kind", kind_loss, classes=3), Task("size", size_loss))

    def config(**changes) -> FitConfig:
        settings = {"epochs": 4, "batch_size": 8, "seed": 3, "learning_rate": 0.01, "device": "cpu"}
        return FitConfig(**(settings | changes))

    return SimpleNamespace(
        model=make_model,
        data=make_data,
        tasks=tasks,
        balancer=lambda: LogSigmas(["kind", "size"]),
        dual=lambda **space: DualCone(["kind", "size"], **space),
        config=config,
    )
