"""A tiny model of two tasks, whose step is nearly all overhead: 600 examples, batch 4, 150 steps an epoch."""

import torch
from torch import Tensor, nn

EXAMPLES, BATCH, EPOCHS = 600, 4, 4


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = torch.relu(self.body(x))
        return {"a": self.a(z)[:, 0], "b": self.b(z)[:, 0]}


def examples() -> tuple[Tensor, dict[str, Tensor]]:
    x = torch.randn(EXAMPLES, 4, generator=torch.Generator().manual_seed(1))
    return x, {"a": x[:, 0].clone(), "b": x[:, 1].clone()}


def squared(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    each = mask * weight
    return (each * (output - target) ** 2).sum(), each.sum()


def total_loss(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    return sum(((outputs[name] - targets[name]) ** 2).mean() for name in ("a", "b"))
