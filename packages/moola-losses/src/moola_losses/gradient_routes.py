"""Ways to the tasks' gradients: of shared parameters, or at a representation.

A route gives the gradients in blocks (`stacks`) and afterwards, told the weights, adds to every ``.grad``
what belongs there (`finish`). `reuse` does that with weights of an earlier step, without a walk per task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from moola_losses.data_parallel import mean_over_ranks
from moola_losses.gramian import combine

Heads = Literal["plain", "weighted"]
"""What parameters of one task alone get: its own gradient, or that times the task's weight."""


class Route(Protocol):
    """A way to the gradients of the present tasks."""

    averaged: bool
    """True if `stacks` are means over the processes already."""

    def stacks(self) -> list[Tensor]:
        """Returns the gradients in blocks of (m, n), one row a task, times the factor."""

    def finish(self, stacks: list[Tensor], weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient to ``.grad``, given the blocks to combine and (m,) float64 weights."""

    def reuse(self, weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient to ``.grad`` without having asked for `stacks`."""


class ParameterRoute:
    """Gradients of the shared parameters themselves, one walk through the network a task: exact, and dearest.

    Args:
        losses: Of the present tasks, scalars with graph.
        shared: The parameters; those no loss depends on are left alone.
        factor: Scalar that every gradient is multiplied by.
        retain_graph: Keep the graph afterwards.
    """

    averaged = True

    def __init__(
        self, losses: Sequence[Tensor], shared: Iterable[nn.Parameter], *, factor: Tensor, retain_graph: bool
    ) -> None:
        self._losses = losses
        # A tied parameter may be listed twice; it has one gradient.
        self._shared = [p for p in dict.fromkeys(shared) if p.requires_grad]
        if not self._shared:
            raise ValueError("shared: want one or more parameters that require gradients, got none")
        known = {id(p) for p in self._shared}
        self._own = [p for p in leaves_of(losses) if id(p) not in known]
        self._factor = factor
        self._retain = retain_graph

    def stacks(self) -> list[Tensor]:
        """Returns the gradients in blocks, as `Route`."""
        leaves, last = [*self._shared, *self._own], len(self._losses) - 1
        found = [
            torch.autograd.grad(
                loss,
                leaves,
                self._factor.to(loss.dtype),
                retain_graph=self._retain or k < last,
                allow_unused=True,
            )
            for k, loss in enumerate(self._losses)
        ]
        by_leaf = [TaskRows(leaf, rows) for leaf, rows in zip(leaves, zip(*found, strict=True), strict=True)]
        self._heads = by_leaf[len(self._shared) :]
        return mean_over_ranks([stack_rows(leaf, rows) for leaf, rows in by_leaf[: len(self._shared)]])

    def finish(self, stacks: list[Tensor], weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient, as `Route`."""
        for parameter, stack in zip(self._shared, stacks, strict=True):
            add_to_grad(parameter, combine(stack, weights).view_as(parameter))
        factors = weights.tolist() if heads == "weighted" else [1.0] * len(weights)
        sums = [owned.sum(factors) for owned in self._heads]
        for owned, total in zip(self._heads, mean_over_ranks(sums), strict=True):
            add_to_grad(owned.parameter, total)

    def reuse(self, weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient with known weights, as `Route`."""
        scaled = seeds_of(self._losses, self._factor, weights)
        if heads == "weighted":
            leaves = [*self._shared, *self._own]
            found = gradients_of(self._losses, leaves, scaled, retain_graph=self._retain)
        else:
            plain = seeds_of(self._losses, self._factor, None)
            leaves = [*self._own, *self._shared]
            found = gradients_of(self._losses, self._own, plain, retain_graph=True) if self._own else []
            found += gradients_of(self._losses, self._shared, scaled, retain_graph=self._retain)
        for leaf, gradient in zip(leaves, mean_over_ranks(found), strict=True):
            # The engine may give one tensor, or one number shown many times, as several leaves' gradients.
            add_to_grad(leaf, gradient.clone(memory_format=torch.contiguous_format))


class RepresentationRoute:
    """Gradients at a representation that every shared path runs through: one walk through the encoder.

    The heads are walked once a task, then everything is walked once. The last walk is a common backward, so
    hooks, those of `DistributedDataParallel` among them, see what they are used to.

    Args:
        losses: Of the present tasks, scalars with graph.
        representation: The tensor.
        factor: Scalar that every gradient is multiplied by.
        retain_graph: Keep the graph afterwards.
    """

    averaged = False

    def __init__(
        self, losses: Sequence[Tensor], representation: Tensor, *, factor: Tensor, retain_graph: bool
    ) -> None:
        if not representation.requires_grad:
            raise ValueError("representation: want a tensor that requires gradients, got one that does not")
        self._losses = losses
        self._point = representation
        self._factor = factor
        self._retain = retain_graph

    def stacks(self) -> list[Tensor]:
        """Returns the gradients in blocks, as `Route`."""
        rows = [
            torch.autograd.grad(
                loss, self._point, self._factor.to(loss.dtype), retain_graph=True, allow_unused=True
            )[0]
            for loss in self._losses
        ]
        return [stack_rows(self._point, rows)]

    def finish(self, stacks: list[Tensor], weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient, as `Route`."""
        if heads == "weighted":
            self._backward(weights)
        else:
            self._replaced(combine(stacks[0], weights).view_as(self._point))

    def reuse(self, weights: Tensor, heads: Heads) -> None:
        """Adds the balanced gradient with known weights, as `Route`."""
        if heads == "weighted":
            self._backward(weights)
        else:
            seeds = seeds_of(self._losses, self._factor, weights)
            self._replaced(gradients_of(self._losses, [self._point], seeds, retain_graph=True)[0])

    def _replaced(self, gradient: Tensor) -> None:
        """Walks everything with the plain losses, but puts this gradient in place of the representation's."""
        handle = self._point.register_hook(lambda _: gradient.to(self._point.dtype))
        try:
            self._backward(None)
        finally:
            handle.remove()

    def _backward(self, weights: Tensor | None) -> None:
        seeds = seeds_of(self._losses, self._factor, weights)
        torch.autograd.backward(list(self._losses), seeds, retain_graph=self._retain)


class TaskRows(NamedTuple):
    """A tensor and its gradients task by task; None where a task does not reach it."""

    parameter: Tensor
    rows: Sequence[Tensor | None]

    def sum(self, factors: Sequence[float]) -> Tensor:
        """Returns the sum of the gradients times the factors."""
        found = [(f, row) for f, row in zip(factors, self.rows, strict=True) if row is not None]
        if not found:
            return torch.zeros_like(self.parameter)
        # A gradient of a mean is one row shown many times: read cheaply, written in full.
        found.sort(key=lambda pair: not pair[1].is_contiguous())
        total = found[0][1] * found[0][0]
        for factor, row in found[1:]:
            total.add_(row, alpha=factor)
        return total


def stack_rows(like: Tensor, rows: Sequence[Tensor | None]) -> Tensor:
    """Puts the tasks' gradients of a tensor into one block, in 32 bits at least; 0 where there is none."""
    filled = [torch.zeros_like(like) if row is None else row for row in rows]
    stacked = torch.stack(filled).flatten(1)
    return stacked.float() if stacked.dtype in (torch.float16, torch.bfloat16) else stacked


def seeds_of(losses: Sequence[Tensor], factor: Tensor, weights: Tensor | None) -> list[Tensor]:
    """Returns what each loss's gradient starts with: the factor, times its weight if there are any."""
    if weights is None:
        return [factor.to(loss.dtype) for loss in losses]
    return [(factor * w).to(loss.dtype) for loss, w in zip(losses, weights.unbind(), strict=True)]


def gradients_of(
    losses: Sequence[Tensor], leaves: Sequence[Tensor], seeds: Sequence[Tensor], *, retain_graph: bool
) -> list[Tensor]:
    """Returns the gradients of the sum of the losses times their seeds; zeros where there is none."""
    found = torch.autograd.grad(
        list(losses), list(leaves), list(seeds), retain_graph=retain_graph, allow_unused=True
    )
    return [torch.zeros_like(p) if g is None else g for p, g in zip(leaves, found, strict=True)]


def add_to_grad(leaf: Tensor, gradient: Tensor) -> None:
    """Adds a gradient to ``.grad``."""
    gradient = gradient.to(leaf.dtype)
    if leaf.grad is None:
        leaf.grad = gradient
    else:
        leaf.grad = leaf.grad + gradient


def leaves_of(losses: Sequence[Tensor]) -> list[Tensor]:
    """Finds the parameters that the losses depend on, in an order that only the graph decides."""
    found: list[Tensor] = []
    waiting = [loss.grad_fn for loss in losses if loss.grad_fn is not None]
    found += [loss for loss in losses if loss.grad_fn is None and loss.requires_grad]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        # Only the node of a leaf has this attribute.
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found.append(leaf)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return found
