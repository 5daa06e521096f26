"""Random weights (Lin et al., TMLR 2022): what every balancer has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

import torch
from torch import Tensor

from moola_losses.claims import Claims
from moola_losses.draws import keys, normals
from moola_losses.weighting import Weighting, WeightingConfig, WeightingOptions


class RandomWeights(Weighting):
    """w = softmax(e) with e_k standard normal, drawn anew every step.

    arXiv 2111.10603. The draw depends on seed, step and the task's name only: no generator of torch is moved,
    and an absent task changes no other's draw. Negative and zero losses are weighted like others.

    Args:
        tasks: Names.
        seed: Of the draws.
        options: As `Weighting`.

    >>> import torch
    >>> balancer = RandomWeights(("type", "span"), seed=3)
    >>> _ = balancer({"type": torch.tensor(1.0), "span": torch.tensor(1.0)})
    >>> round(sum(balancer.coefficients().values()), 6)
    1.0
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", alone=True, twins=False)
    seed: Tensor
    step: Tensor
    keys: Tensor

    def __init__(self, tasks: Sequence[str], *, seed: int = 0, **options: Unpack[WeightingOptions]) -> None:
        super().__init__(tasks, **options)
        self.register_buffer("seed", torch.tensor(seed, dtype=torch.int64))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("keys", keys(self.tasks), persistent=False)

    def weigh(self, positions: list[int], values: Tensor) -> Tensor:
        """Returns this step's draw for the present tasks."""
        drawn = normals(self.seed, self.step, self.pick(self.keys, positions)).to(values.dtype)
        if self.training:
            self.step.add_(1)
        return drawn.softmax(0)


class RLWConfig(WeightingConfig):
    """Configuration of `RandomWeights`."""

    kind: Literal["rlw"] = "rlw"
    seed: int = 0

    def build(self, tasks: Sequence[str]) -> RandomWeights:
        """Makes the balancer."""
        return RandomWeights(tasks, seed=self.seed, **self.weighting_options())
