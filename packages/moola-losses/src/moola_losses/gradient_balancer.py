"""What the methods on gradients have in common: the tasks' gradients in, weights out, one gradient added."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from moola_losses.balancer import Balancer, BalancerConfig, Options
from moola_losses.claims import Claims
from moola_losses.data_parallel import mean_over_ranks, ranks, same_tasks_everywhere
from moola_losses.gradient_routes import (
    Heads,
    ParameterRoute,
    RepresentationRoute,
    Route,
)
from moola_losses.gramian import Matrix, gramian
from moola_losses.split_route import Split, SplitRoute, split_representation

ZeroGradient = Literal["drop", "keep"]


class GradientOptions(Options, total=False):
    """What every method on gradients takes by keyword; see `GradientBalancer`."""

    heads: Heads | None
    zero_gradient: ZeroGradient


class GradientBalancer(Balancer):
    """Combines the tasks' gradients at what they share: Σ w_k g_k, with w made of the inner products g_j·g_k.

    The gradients are those of the shared parameters (`backward` with ``shared=``: exact, about one backward
    pass a task) or those at a representation that the tasks' heads read (``representation=``: hardly dearer
    than a plain step). A parameter that is not shared gets its task's own gradient ("plain": a head has one
    task, there is nothing to balance) or that times w ("weighted", for methods that are weights of losses).

    Weights are made in 64 bits of gradients without the scaler's factor. With one task present its gradient
    is left as it is. In a data-parallel run all processes find the same weights: with ``shared=`` the
    balancer averages the gradients itself and the model needs no wrapper, with ``representation=``
    `DistributedDataParallel` does as always.

    Args:
        tasks: Names.
        heads: "plain" or "weighted"; None is the method's own way.
        zero_gradient: What to do with a present task whose gradient is exactly 0 at what is shared. "drop"
            leaves it out, as if it were absent (its head still learns); "keep" hands it to the method, many
            of which then stand still or are undefined.
        options: As `Balancer`.
    """

    claims: ClassVar[Claims] = Claims(scalar=False, shared=True)
    own_heads: ClassVar[Heads] = "plain"

    last: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        heads: Heads | None = None,
        zero_gradient: ZeroGradient = "drop",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(tasks, **options)
        if heads not in (None, "plain", "weighted"):
            raise ValueError(f"heads: want 'plain', 'weighted' or None, got {heads!r}")
        if zero_gradient not in ("drop", "keep"):
            raise ValueError(f"zero_gradient: want 'drop' or 'keep', got {zero_gradient!r}")
        self.heads: Heads = self.own_heads if heads is None else heads
        self.zero_gradient = zero_gradient
        self.register_buffer("last", torch.full((len(self.tasks),), float("nan"), dtype=torch.float64))

    @abstractmethod
    def weigh(self, gramian: Matrix, losses: Matrix, positions: list[int]) -> Matrix:
        """Returns the weights of the tasks' gradients; learns from what it sees in training mode.

        Args:
            gramian: (m, m) inner products of the gradients.
            losses: (m,) what the losses have above their floors.
            positions: (m,) of these tasks among `tasks`, in the order of their names.
        """

    def score(self, loss: Tensor, value: Tensor) -> Tensor:
        """Returns what to differentiate in place of a task's loss; the loss itself, for most methods.

        Args:
            loss: With graph.
            value: What the loss has above its floor, the mean over all processes, without graph.
        """
        return loss

    def remember(self, stacks: list[Tensor], positions: list[int], factor: float) -> list[Tensor]:
        """Returns what to combine in place of the gradients; the gradients themselves, for most methods."""
        return stacks

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """Raises NotImplementedError: the method has no scalar."""
        name = type(self).__name__
        raise NotImplementedError(
            f"{name}: want backward(losses, shared=...) or backward(losses, representation=...), got a call"
        )

    def split(self, representation: Tensor) -> Split:
        """Cuts a representation into a part a task: ``heads(split.parts)``, then ``representation=split``."""
        return split_representation(representation, self.tasks)

    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[nn.Parameter] | None = None,
        representation: Tensor | Split | None = None,
        scaler: torch.amp.GradScaler | None = None,
        retain_graph: bool = False,
        refresh: bool = True,
    ) -> Tensor:
        """Adds the balanced gradient to ``.grad``.

        Args:
            losses: Scalars by task name, with graph.
            shared: Parameters that several tasks use; the gradients are balanced there. Or:
            representation: What every path from a loss to something shared runs through, as a tensor with the
                encoder's graph or as `split` made it.
            scaler: Of mixed precision; the gradients are scaled by it, the weights do not feel it. If a
                scaled gradient is not finite, the plain sum is given, so that the scaler skips the step.
            retain_graph: Keep the graph for another backward pass.
            refresh: False uses the weights of the last refreshed step, which saves a walk through the network
                per task; tasks without a weight yet refresh all.

        Returns:
            The total Σ w_k (L_k - b_k) with floor b, detached and not scaled.

        Raises:
            ValueError: As `Balancer.backward`; if not exactly one of `shared` and `representation` is given,
                or a gradient is not finite (with its task's name) and `non_finite` is "refuse".
        """
        if (shared is None) == (representation is None):
            given = "none" if shared is None else "both"
            raise ValueError(f"backward: want one of shared and representation, got {given}")
        found, found_values = self.present(losses)
        # In the order of names nothing depends on the order of the tasks, not even rounding.
        order = sorted(range(len(found)), key=lambda i: self.tasks[found[i]])
        positions = [found[i] for i in order]
        names = [self.tasks[k] for k in positions]
        values = found_values.detach()[order].double()
        if ranks() > 1:
            here = torch.zeros(len(self.tasks), device=values.device)
            here[positions] = 1.0
            same_tasks_everywhere(here, self.tasks)
            (values,) = mean_over_ranks([values])
        self._check_positive(values, positions)
        one = torch.ones((), device=values.device)
        factor = one if scaler is None else scaler.scale(one)
        scores = []
        for name, value in zip(names, values.unbind(), strict=True):
            loss = losses[name]
            assert loss is not None  # `present` says so
            scores.append(self.score(loss, value))
        route = self._route(scores, names, shared, representation, factor, retain_graph)
        weights = self.last[positions]
        if refresh or bool(weights.isnan().any()):
            stacks = self.remember(route.stacks(), positions, float(factor))
            weights = self._weights(stacks, values, positions, float(factor), averaged=route.averaged)
            weights = weights.to(values.device)
            route.finish(stacks, weights, self.heads)
        else:
            route.reuse(weights, self.heads)
        return (weights * values).sum().to(found_values.dtype)

    def coefficients(self) -> dict[str, float]:
        """Returns the last weights by task; nan for tasks not seen yet."""
        return self.by_task(self.last)

    def _check_positive(self, values: Tensor, positions: list[int]) -> None:
        if not self.wants_positive() or self.non_finite == "pass" or bool((values > 0).all()):
            return
        k = int((values <= 0).nonzero()[0, 0])
        floor = float(self.floors[positions[k]])
        raise ValueError(
            f"losses: want more than the floor {floor:g}, got {float(values[k]) + floor:g} for "
            f"{self.tasks[positions[k]]!r}"
        )

    def _route(
        self,
        losses: list[Tensor],
        names: list[str],
        shared: Iterable[nn.Parameter] | None,
        representation: Tensor | Split | None,
        factor: Tensor,
        retain_graph: bool,
    ) -> Route:
        if isinstance(representation, Split):
            return SplitRoute(
                losses, representation, names, factor=factor, retain_graph=retain_graph, heads=self.heads
            )
        if representation is not None:
            return RepresentationRoute(losses, representation, factor=factor, retain_graph=retain_graph)
        return ParameterRoute(losses, shared or (), factor=factor, retain_graph=retain_graph)

    def _weights(
        self, stacks: list[Tensor], values: Tensor, positions: list[int], factor: float, *, averaged: bool
    ) -> Tensor:
        scaled = gramian(stacks)
        if ranks() > 1 and not averaged:
            # The representations of all processes, end to end, are that of the whole batch; its loss is the
            # mean of theirs.
            (scaled,) = mean_over_ranks([scaled])
            scaled = scaled / ranks()
        matrix: Matrix = np.array(scaled.tolist()) / factor / factor
        weights = np.ones(len(positions))
        finite = np.isfinite(np.diagonal(matrix))
        if finite.all():
            kept = [i for i in range(len(positions)) if matrix[i, i] > 0 or self.zero_gradient == "keep"]
            if kept:
                chosen = self.weigh(
                    matrix[np.ix_(kept, kept)], np.array(values.tolist())[kept], [positions[i] for i in kept]
                )
                weights[kept] = chosen if len(kept) > 1 else 1.0
        elif factor == 1 and self.non_finite == "refuse":
            name = self.tasks[positions[int(np.argmin(finite))]]
            raise ValueError(f"losses: want finite gradients, got one that is not for {name!r}")
        found = torch.from_numpy(weights)
        if self.training and finite.all():
            self.last[positions] = found.to(self.last.device)
        return found


class GradientConfig(BalancerConfig):
    """Settings that methods on gradients share."""

    heads: Heads | None = None
    zero_gradient: ZeroGradient = "drop"

    def gradient_options(self) -> GradientOptions:
        """Returns what every method on gradients takes, as keywords."""
        return {**self.options(), "heads": self.heads, "zero_gradient": self.zero_gradient}


def read(vector: Tensor, positions: list[int]) -> Matrix:
    """Takes entries of a buffer as numbers of 64 bits on the CPU."""
    return np.array(vector[positions].tolist(), dtype=np.float64)


def write(vector: Tensor, positions: list[int], values: Matrix) -> None:
    """Writes entries of a buffer in place."""
    vector[positions] = torch.from_numpy(np.ascontiguousarray(values)).to(vector)
