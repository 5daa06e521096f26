"""A running average of the weights: what is evaluated and kept, while the raw weights train on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The mean of the weights over the steps so far, turning into an exponential one.

    Average number t moves by 1/t towards the weights, but never by less than 1 - decay: a plain mean at
    first, so that it never drags the random first weights along; with decay 1 a plain mean for ever
    (stochastic weight averaging, Izmailov 2018). Buffers are those of the model, not averaged.

    Args:
        model: Its parameters are copied.
        decay: In (0, 1].
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self._decay = decay
        self._average = [p.detach().clone() for p in model.parameters()]
        self.count = 0
        """Steps averaged."""

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes the weights after a step into the average."""
        self.count += 1
        share = max(1 / self.count, 1 - self._decay)
        torch._foreach_lerp_(self._average, list(model.parameters()), share)

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Sets the average to the weights: what happens before averaging begins."""
        torch._foreach_copy_(self._average, list(model.parameters()))

    @contextmanager
    def swapped_in(self, model: nn.Module) -> Iterator[None]:
        """Puts the average into the model inside the block, and the raw weights back after it."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def put_into(self, model: nn.Module) -> None:
        """Puts the average into the model for good."""
        torch._foreach_copy_(list(model.parameters()), self._average)

    def _swap(self, model: nn.Module) -> None:
        for parameter, average in zip(model.parameters(), self._average, strict=True):
            raw = parameter.detach().clone()
            parameter.data.copy_(average)
            average.copy_(raw)

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """Returns the averages by parameter name, on the CPU."""
        names = [name for name, _ in model.named_parameters()]
        return {n: t.to("cpu", copy=True) for n, t in zip(names, self._average, strict=True)}

    def load(self, tensors: Mapping[str, Tensor], model: nn.Module, *, count: int) -> None:
        """Takes over saved averages, by parameter name."""
        for (name, _), average in zip(model.named_parameters(), self._average, strict=True):
            average.copy_(tensors[name])
        self.count = count
