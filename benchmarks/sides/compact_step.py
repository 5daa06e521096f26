"""One training step without an optimiser, and the bare network that the compact one is measured against."""

import torch
from torch import Tensor, nn

WINDOWS, BARS, FEATURES = 32, 105, 12


class Bare(nn.Module):
    """The modules of the compact network, called one after the other."""

    def __init__(self, *, input_dropout: float = 0.0, dense_dropout: float = 0.0) -> None:
        super().__init__()
        self.drop_input = nn.Dropout(input_dropout) if input_dropout else nn.Identity()
        self.drop = nn.Dropout(dense_dropout) if dense_dropout else nn.Identity()
        self.lstm = nn.LSTM(FEATURES, 96, batch_first=True, bidirectional=True)
        self.projection = nn.Linear(192, 64)
        self.kind, self.pointers = nn.Linear(64, 3), nn.Linear(64, 2)
        self.span, self.countdown = nn.Linear(192, 1), nn.Linear(192, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        z = self.lstm(self.drop_input(x))[0]
        pooled = self.projection(z.mean(1)).relu()
        return (
            self.kind(self.drop(pooled)),
            self.pointers(self.drop(pooled)).sigmoid(),
            self.span(self.drop(z)).squeeze(-1),
            self.countdown(self.drop(z)).squeeze(-1),
        )


def ready(model: nn.Module) -> tuple[nn.Module, Tensor]:
    torch.set_num_threads(1)
    return model.train(), torch.randn(WINDOWS, BARS, FEATURES)


def step(state: tuple[nn.Module, Tensor]) -> None:
    model, x = state
    model.zero_grad(set_to_none=True)
    sum(output.square().mean() for output in model(x)).backward()
