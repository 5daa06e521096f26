"""A representation split by task, so that one walk through all heads gives every task's gradient there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from moola_losses.gradient_routes import Heads, TaskRows, gradients_of, seeds_of, stack_rows
from moola_losses.gramian import combine


class Split(NamedTuple):
    """A shared representation and the same numbers once more for each task's head.

    Attributes:
        whole: The representation, with the encoder's graph.
        parts: Without that graph, by task name; each head reads its own.
        caught: What the last walk through the heads found at the parts, by task name.
    """

    whole: Tensor
    parts: dict[str, Tensor]
    caught: dict[str, Tensor]


def split_representation(representation: Tensor, tasks: Sequence[str]) -> Split:
    """Cuts the graph at a representation and gives each task a part."""
    leaf = representation.detach().requires_grad_()
    caught: dict[str, Tensor] = {}
    parts: dict[str, Tensor] = {task: _Catch.apply(leaf, caught, task) for task in tasks}
    return Split(representation, parts, caught)


class _Catch(torch.autograd.Function):
    """Shows a tensor, and keeps the gradient that comes back instead of handing it on.

    A leaf would keep a full copy, although the gradient of a mean over bars is one row shown many times.
    """

    @staticmethod
    def forward(ctx: Any, leaf: Tensor, caught: dict[str, Tensor], name: str) -> Tensor:
        ctx.caught, ctx.name = caught, name
        return leaf.view_as(leaf)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None]:
        ctx.caught[ctx.name] = gradients[0]
        return None, None, None


class SplitRoute:
    """As `RepresentationRoute`, at a split: with plain heads, all of the graph is walked once.

    So heads compiled as one graph work, which cannot be walked task by task.

    Args:
        losses: Of the present tasks, scalars with graph, from the split's parts.
        split: The representation.
        names: Of the present tasks.
        factor: Scalar that every gradient is multiplied by.
        retain_graph: Keep the graph afterwards.
        heads: As `stacks` will be asked to prepare for.
    """

    averaged = False

    def __init__(
        self,
        losses: Sequence[Tensor],
        split: Split,
        names: Sequence[str],
        *,
        factor: Tensor,
        retain_graph: bool,
        heads: Heads,
    ) -> None:
        missing = sorted(set(names) - split.parts.keys())
        if missing:
            raise ValueError(
                f"representation: want a part for each present task, got none for {missing[0]!r}"
            )
        self._losses = losses
        self._split = split
        self._names = names
        self._factor = factor
        self._retain = retain_graph
        self._once = heads == "plain"

    def stacks(self) -> list[Tensor]:
        """Returns the gradients in blocks, as `Route`."""
        if self._once:
            return [stack_rows(self._split.whole, self._walk_heads(None))]
        seeds = seeds_of(self._losses, self._factor, None)
        parts = [self._split.parts[name] for name in self._names]
        return [stack_rows(self._split.whole, gradients_of(self._losses, parts, seeds, retain_graph=True))]

    def finish(self, stacks: list[Tensor], weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient, as `Route`."""
        if heads == "weighted":
            self._walk_heads(weights)
        self._walk_encoder(combine(stacks[0], weights).view_as(self._split.whole))

    def reuse(self, weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient with known weights, as `Route`."""
        rows = self._walk_heads(weights if heads == "weighted" else None)
        factors = [1.0] * len(rows) if heads == "weighted" else weights.tolist()
        self._walk_encoder(TaskRows(self._split.whole, rows).sum(factors))

    def _walk_heads(self, weights: Tensor | None) -> list[Tensor | None]:
        self._split.caught.clear()
        seeds = seeds_of(self._losses, self._factor, weights)
        torch.autograd.backward(list(self._losses), seeds, retain_graph=self._retain)
        return [self._split.caught.pop(name, None) for name in self._names]

    def _walk_encoder(self, gradient: Tensor) -> None:
        whole = self._split.whole
        if whole.requires_grad:
            whole.backward(gradient.to(whole.dtype), retain_graph=self._retain)
