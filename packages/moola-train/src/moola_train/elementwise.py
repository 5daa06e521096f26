"""Torch's own losses as task losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PointwiseLoss = Callable[..., Tensor]


class Elementwise:
    """A loss of torch's, such as ``nn.functional.mse_loss``, with masks and weights: a `TaskLoss`.

    The loss of a batch is the weighted mean over known elements.

    Args:
        loss: Called as ``loss(output, target, reduction="none")``; returns one number an element: the
            target's shape.
        settings: Further arguments of it by name.

    >>> from torch import nn
    >>> squared = Elementwise(nn.functional.mse_loss)
    >>> known = torch.tensor([True, False])
    >>> total, weight = squared(torch.zeros(2), torch.tensor([3.0, 9.0]), known, torch.ones(2))
    >>> (total / weight).item()
    9.0
    """

    def __init__(self, loss: PointwiseLoss, **settings: float | str | bool | Tensor) -> None:
        if not callable(loss) or isinstance(loss, torch.nn.Module):
            raise TypeError(f"loss: want a function such as torch.nn.functional.mse_loss, got {loss!r}")
        self.loss = loss
        self.settings = settings

    def __call__(
        self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Returns (weighted sum, weight) of the known elements.

        Args:
            output: (B, ...).
            target: (B, ...).
            mask: bool, (B,) or the target's shape.
            weight: float, (B,).

        Raises:
            ValueError: The loss does not return a number an element of the target.
        """
        each = self.loss(output, target, reduction="none", **self.settings)
        if each.shape != target.shape:
            wanted, found = list(target.shape), list(each.shape)
            raise ValueError(f"loss: want a number an element of the target, {wanted}, got {found}")
        trailing = (1,) * (each.ndim - 1)
        known = mask.reshape(mask.shape + (1,) * (each.ndim - mask.ndim)).expand_as(each)
        share = known * weight.reshape(-1, *trailing)
        # A loss of an unknown target may be anything, also no number: it is left out, not multiplied by 0.
        return (torch.where(known, each, 0.0) * share).sum(), share.sum()
