"""Keeps gradients from growing too large: every parameter is in exactly one set that is clipped together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moola_train.parameter_groups import Group


class Clip(NamedTuple):
    """Parameters whose gradients have, taken together, at most a norm."""

    parameters: list[nn.Parameter]
    norm: float


def clips_of(groups: Sequence[Group], *, norm: float | None) -> tuple[Clip, ...]:
    """Returns what to clip together: each group with a norm of its own, and all the rest by `norm`.

    A group's biases and scales, which are apart only because they do not decay, are clipped with it.
    """
    sets: dict[str, Clip] = {}
    for group in groups:
        own = group["clip_norm"]
        limit = norm if own is None else own
        if limit is not None:
            title = "" if own is None else group["name"].removesuffix("/no_decay")
            sets.setdefault(title, Clip([], limit)).parameters.extend(group["params"])
    return tuple(sets.values())


def clip(gradients: Sequence[Tensor], clips: Sequence[Clip]) -> Tensor:
    """Clips in place, and returns the L2 norm of all gradients together before that, a scalar."""
    # What torch.nn.utils.get_total_norm does, less its sorting by device: there is one.
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    for part in clips:
        found = [p.grad for p in part.parameters if p.grad is not None]
        if found:
            whole = len(found) == len(gradients)
            own = norm if whole else torch.linalg.vector_norm(torch.stack(torch._foreach_norm(found)))
            torch.nn.utils.clip_grads_with_norm_(part.parameters, part.norm, own)
    return norm
