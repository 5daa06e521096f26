"""Static weights that make the tasks pull equally hard: what the doctor prescribes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from pydantic import Field
from torch import Tensor, nn

from moola_losses.balancer import PositiveNumbers
from moola_losses.claims import Claims
from moola_losses.ranks import across_ranks
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class Unit(Weighting):
    """p_k w_k in proportion to p_k / n_k, n_k the norm of task k's gradient by the shared parameters.

    n_k is the mean over the first `probe` steps, or given. The weights have geometric mean 1 over the present
    tasks and stay within [1/clip, clip]. With AutoScale (arXiv 2508.13979): good static weights are those at
    which the gradients' sizes are alike. What is measured in the first steps is soon stale: let the model
    train `skip` steps first. Negative and zero losses are weighted like others; a task whose gradient is 0
    gets `clip`.

    Args:
        tasks: Names.
        norms: n by task, above 0, all of them; without, `backward(losses, shared=...)` or `observe` measures.
        probe: How many steps are measured, 1 or more; each costs one backward pass a task.
        skip: How many steps pass before with the preferences alone as weights.
        clip: Largest weight and inverse of the least, above 1.
        options: As `Weighting`.

    >>> import torch
    >>> shared = torch.nn.Parameter(torch.ones(2))
    >>> balancer = Unit(("type", "span"), probe=1)
    >>> losses = {"type": 4 * shared.sum(), "span": shared.sum()}
    >>> _ = balancer.backward(losses, shared=[shared])
    >>> balancer.coefficients(), shared.grad.tolist()
    ({'type': 0.5, 'span': 2.0}, [4.0, 4.0])
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", each_scale=True, shared=True)
    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        norms: Mapping[str, float] | None = None,
        probe: int = 20,
        skip: int = 0,
        clip: float = 100.0,
        **options: Unpack[WeightingOptions],
    ) -> None:
        super().__init__(tasks, **options)
        if probe < 1:
            raise ValueError(f"probe: want 1 or more, got {probe}")
        if skip < 0:
            raise ValueError(f"skip: want 0 or more, got {skip}")
        if not 1 < clip < float("inf"):
            raise ValueError(f"clip: want a finite number above 1, got {clip}")
        given = self.vector("norms", norms, default=0.0).double()
        missing = [name for name in self.tasks if norms and name not in norms]
        if missing or (norms and not bool((given > 0).all())):
            raise ValueError(f"norms: want a number above 0 for each of {list(self.tasks)}, got {norms}")
        self.probe = probe
        self.skip = 0 if norms else skip
        self.clip = clip
        self.register_buffer("sums", given)
        self.register_buffer("counts", torch.full_like(given, 1.0 if norms else 0.0))
        # A Python number, asked for at every step: on a GPU a tensor would have to be waited for.
        self.steps = self.skip + probe if norms else 0
        self._asked = False

    def get_extra_state(self) -> Tensor:
        """Returns the number of steps counted."""
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Tensor) -> None:
        """Takes the number of steps counted."""
        self.steps = int(state)

    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[nn.Parameter] | None = None,
        representation: Tensor | None = None,
        scaler: torch.amp.GradScaler | None = None,
        retain_graph: bool = False,
    ) -> Tensor:
        """As `Balancer.backward`; measures first where that is due.

        Raises:
            ValueError: As `forward`, or if a measurement is due and there is nothing to measure at.
        """
        if self.training and self.steps < self.skip + self.probe:
            at = [representation] if shared is None and representation is not None else shared
            self.observe(losses, shared=at, scaler=scaler)
        return super().backward(
            losses, representation=representation, scaler=scaler, retain_graph=retain_graph
        )

    def observe(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[Tensor] | None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """Counts a step, and measures the norms unless it is to be skipped; adds nothing to ``.grad``.

        Args:
            losses: As `forward`, with graph, which is kept.
            shared: Parameters that several tasks use, or a representation that their heads read.
            scaler: Of mixed precision; small gradients are then measured at its scale.

        Raises:
            ValueError: As `forward`, or if `shared` has no parameter, or a gradient is not finite (with its
                task's name), there is no scaler and `non_finite` is "refuse".
        """
        positions, _ = self.present(losses)
        targets = [] if shared is None else [p for p in dict.fromkeys(shared) if p.requires_grad]
        if not targets:
            raise ValueError("shared: want the shared parameters while norms are measured, got none")
        self._asked = True
        self.steps += 1
        if self.steps <= self.skip or self.steps > self.skip + self.probe:
            return
        scale = 1.0 if scaler is None else float(scaler.get_scale())
        norms = []
        for k in positions:
            loss = losses[self.tasks[k]]
            assert loss is not None  # `present` says so
            found = torch.autograd.grad(scale * loss, targets, retain_graph=True, allow_unused=True)
            flat = [g.detach().double().square().sum() for g in found if g is not None]
            norms.append(torch.stack(flat).sum().sqrt() / scale if flat else self.sums.new_zeros(()))
        seen, means = across_ranks(positions, torch.stack(norms), tasks=len(self.tasks))
        if not bool(means.isfinite().all()):
            # The scaler skips this step and lowers its factor: there will be another to measure.
            self._not_measured(seen, means, scaled=scaler is not None)
            return
        self.put(self.sums, seen, self.pick(self.sums, seen) + means)
        self.put(self.counts, seen, self.pick(self.counts, seen) + 1)

    def _not_measured(self, positions: list[int], norms: Tensor, *, scaled: bool) -> None:
        if self.non_finite == "refuse" and not scaled:
            name = self.tasks[positions[int(norms.isfinite().int().argmin())]]
            raise ValueError(f"losses: want finite gradients, got one that is not for {name!r}")
        self.steps -= 1

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns weights in proportion to 1/n by present task, from what is measured so far.

        Raises:
            ValueError: If no norms were given and no step was counted.
        """
        if self.steps == 0 and not self._asked:
            raise ValueError(
                "unit: want norms, or backward(..., shared=...) or observe(...) first, got neither"
            )
        if self.steps <= self.skip:
            return torch.ones_like(values)
        counts = self.pick(self.counts, positions)
        preferences = self.pick(self.preferences, positions)
        pull = preferences * counts / self.pick(self.sums, positions)
        # A task not measured yet, or without gradient, has no part in the mean.
        known = pull.isfinite()
        mean = (torch.where(known, pull, 1.0).log().sum() / known.sum().clamp(min=1)).exp()
        weights = torch.where(counts > 0, pull / mean, preferences).clamp(1 / self.clip, self.clip)
        return (weights / preferences).to(values.dtype)


class UnitConfig(WeightingConfig):
    """Configuration of `Unit`."""

    kind: Literal["unit"] = "unit"
    norms: PositiveNumbers = Field(default_factory=dict)
    probe: Annotated[int, Field(ge=1)] = 20
    skip: Annotated[int, Field(ge=0)] = 0
    clip: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 100.0

    def build(self, tasks: Sequence[str]) -> Unit:
        """Makes the balancer."""
        return Unit(
            tasks,
            norms=self.norms or None,
            probe=self.probe,
            skip=self.skip,
            clip=self.clip,
            **self.weighting_options(),
        )
