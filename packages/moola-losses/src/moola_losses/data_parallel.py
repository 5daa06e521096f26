"""Averages over the processes of a data-parallel run, where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def ranks() -> int:
    """Returns how many processes train together; 1 without `torch.distributed`."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def mean_over_ranks(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Averages tensors over all processes, with one message for each type of number.

    Every process must call it with the same shapes in the same order.
    """
    if ranks() == 1:
        return list(tensors)
    found = list(tensors)
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        places = [i for i, t in enumerate(tensors) if t.dtype == dtype]
        flat = torch.cat([tensors[i].reshape(-1) for i in places])
        distributed.all_reduce(flat)
        flat /= ranks()
        pieces = flat.split([tensors[i].numel() for i in places])
        for i, piece in zip(places, pieces, strict=True):
            found[i] = piece.view_as(tensors[i])
    return found


def same_tasks_everywhere(present: Tensor, names: Sequence[str]) -> None:
    """Checks that all processes hold the same tasks; otherwise their gradients have no common mean.

    Args:
        present: One number a task, 1 if present here.
        names: Of the tasks.

    Raises:
        ValueError: On all processes, if one holds a task that another does not.
    """
    (share,) = mean_over_ranks([present])
    for name, part in zip(names, share.tolist(), strict=True):
        if 0 < part < 1:
            raise ValueError(f"losses: want the same tasks on every rank, got {name!r} on {part:.0%} of them")
