"""The job that every trainer is timed on: 210 windows of 105 x 13, four tasks, AdamW, batch 32.

Imported by the sides; knows torch only.
"""

import torch
from torch import Tensor, nn

TRAIN, INNER, BARS, FEATURES, BATCH = 210, 42, 105, 13, 32
TASKS = ("type", "pointers", "span", "countdown")


class Model(nn.Module):
    """A BiLSTM of 96 and a projection to 64 with four heads."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.LSTM(FEATURES, 96, batch_first=True, bidirectional=True)
        self.projection = nn.Linear(192, 64)
        self.type_head = nn.Linear(64, 3)
        self.pointers_head = nn.Linear(64, 2)
        self.span_head = nn.Linear(64, 1)
        self.countdown_head = nn.Linear(64, 1)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        z = torch.relu(self.projection(self.encoder(inputs)[0]))
        mean = z.mean(1)
        return {
            "type": self.type_head(mean),
            "pointers": self.pointers_head(mean),
            "span": self.span_head(z)[..., 0],
            "countdown": self.countdown_head(z)[..., 0],
        }


def examples() -> tuple[Tensor, dict[str, Tensor]]:
    """All windows, the training ones first, and their targets."""
    g = torch.Generator().manual_seed(1)
    n = TRAIN + INNER
    x = torch.randn(n, BARS, FEATURES, generator=g)
    start = torch.randint(10, 80, (n,), generator=g)
    bars = torch.arange(BARS)
    span = ((bars >= start[:, None]) & (bars <= start[:, None] + 7)).float()
    x[..., 0] += span
    return x, {
        "type": torch.randint(0, 3, (n,), generator=g),
        "pointers": torch.stack([(start + 3.5) / BARS, torch.full((n,), 8 / BARS)], 1),
        "span": span,
        "countdown": (bars - start[:, None]).float() / BARS,
    }


def entropy(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    each = nn.functional.cross_entropy(output, target, reduction="none") * weight
    return each.sum(), weight.sum()


def smooth(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    each = nn.functional.smooth_l1_loss(output, target, reduction="none").mean(1) * weight
    return each.sum(), weight.sum()


def bars_bce(output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    each = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none").mean(1) * weight
    return each.sum(), weight.sum()


LOSSES = {"type": entropy, "pointers": smooth, "span": bars_bce, "countdown": smooth}


def total_loss(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """The plain sum of the tasks' mean losses, as a hand-written loop would have it."""
    return (
        nn.functional.cross_entropy(outputs["type"], targets["type"])
        + nn.functional.smooth_l1_loss(outputs["pointers"], targets["pointers"])
        + nn.functional.binary_cross_entropy_with_logits(outputs["span"], targets["span"])
        + nn.functional.smooth_l1_loss(outputs["countdown"], targets["countdown"])
    )


def span_f1(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> float:
    """Micro F1 of the bars at probability one half."""
    found, true = outputs["span"] >= 0, targets["span"] > 0
    return float(2 * (found & true).sum() / (found.sum() + true.sum()).clamp(min=1))


def bare_epoch(model, optimizer, x, targets, epoch: int) -> None:
    """One epoch of the hand-written loop."""
    order = torch.randperm(TRAIN, generator=torch.Generator().manual_seed(epoch))
    model.train()
    for start in range(0, TRAIN, BATCH):
        index = order[start : start + BATCH]
        optimizer.zero_grad()
        loss = total_loss(model(x[index]), {name: t[index] for name, t in targets.items()})
        loss.backward()
        optimizer.step()
