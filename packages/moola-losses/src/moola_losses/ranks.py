"""What several processes of one training agree on, so that their balancers stay equal."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from moola_losses.data_parallel import ranks


def across_ranks(positions: list[int], values: Tensor, *, tasks: int) -> tuple[list[int], Tensor]:
    """Averages each task's value over the ranks on which it is present; without ranks, gives it back.

    Every rank calls this once a step, whatever is absent on it.

    Args:
        positions: Of the tasks present here.
        values: Their values, without graph.
        tasks: How many tasks there are.

    Returns:
        Positions of the tasks present on any rank, and their means.
    """
    if ranks() == 1:
        return positions, values
    sums = values.new_zeros(2, tasks)
    sums[0, positions] = values
    sums[1, positions] = 1
    distributed.all_reduce(sums)
    somewhere = [k for k, count in enumerate(sums[1].tolist()) if count]
    return somewhere, (sums[0] / sums[1].clamp(min=1))[somewhere]


def taken_from(weights: Tensor, have: list[int], want: list[int]) -> Tensor:
    """Takes the entries of some tasks from a vector of more."""
    return weights if have == want else weights[torch.tensor([have.index(k) for k in want])]
