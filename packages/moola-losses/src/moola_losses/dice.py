"""Soft Dice loss of a window's in-span marks: overlap, so the many bars outside do not drown the span."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from moola_losses.protocol import LossSum, add_up, full_precision, same_shape, weigh


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Dice:
    """1 - (2 sum p y + s) / (sum p + sum y + s) a window, with p = sigmoid(logit).

    After Milletari and others (2016), but written with sums, not squares, so that p = y meets hard marks. It
    weighs windows, not bars.

    Args:
        smooth: s, above 0. It keeps a window without marks defined: there the loss is 0 for p = 0.

    >>> sure = torch.tensor([[20.0, 20.0, -20.0, -20.0]])
    >>> loss = Dice()(sure, torch.tensor([[1, 1, 0, 0]]), torch.tensor([True]), torch.ones(1))
    >>> round(float(loss.total), 4), float(loss.weight)
    (0.0, 1.0)
    """

    kind: Literal["dice"] = "dice"
    smooth: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    def __call__(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Compares logits with marks.

        Args:
            output: Logits, (B, K).
            target: Marks in [0, 1], the output's shape, any numeric type; any number where masked.
            mask: bool, (B,) or the target's shape; a window's sums run over its known bars.
            weight: float, (B,).

        Returns:
            The weighted sum over windows and the weight of the windows with a known bar.

        Raises:
            ValueError: If shapes or types do not fit.
        """
        same_shape(output, target)
        known, mark, weights_B = self._marks(target, mask, weight)
        p = torch.where(known, full_precision(output).sigmoid(), 0)
        mark = mark.to(p.dtype)
        overlap, both = (p * mark).sum(1), p.sum(1) + mark.sum(1)
        return add_up(1 - (2 * overlap + self.smooth) / (both + self.smooth), weights_B)

    def floor(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the least value: 0 for hard marks.

        For soft marks the best p is 0 or 1 at every bar (the ratio is linear-fractional in each), 1 at the
        greatest marks: every number of them is tried.
        """
        known, mark, weights_B = self._marks(target, mask, weight)
        ranked = torch.where(known, mark, 0).sort(dim=1, descending=True).values
        taken = torch.nn.functional.pad(ranked.cumsum(1), (1, 0))
        count = torch.arange(taken.shape[1], device=taken.device)
        ratio = (2 * taken + self.smooth) / (count + mark.sum(1, keepdim=True) + self.smooth)
        return add_up(1 - ratio.amax(1), weights_B)

    def constant(self, target: Tensor, mask: Tensor, weight: Tensor, /) -> LossSum:
        """Returns the value of the best p that is the same for all bars, on finer and finer grids."""
        known, mark, weights_B = self._marks(target, mask, weight)
        marks_B, bars_B = mark.sum(1), known.sum(1)

        def value(p: Tensor) -> Tensor:
            ratio = (2 * p[:, None] * marks_B + self.smooth) / (p[:, None] * bars_B + marks_B + self.smooth)
            return ((1 - ratio) * weights_B).sum(1)

        low, width = 0.0, 1.0
        best = value(mark.new_zeros(1))[0]
        for _ in range(8):
            grid = (low + width * torch.linspace(0, 1, 513, dtype=torch.float64, device=mark.device)).clamp(
                0, 1
            )
            values = value(grid)
            at = int(values.argmin())
            best = torch.minimum(best, values[at])
            low, width = float(grid[at]) - width / 512, width / 256
        return LossSum(best, weights_B.sum())

    def _marks(self, target: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if target.ndim != 2:
            raise ValueError(f"target: want marks of shape (B, K), got {tuple(target.shape)}")
        known = weigh(mask, torch.ones_like(weight), target=target) > 0
        mark = torch.where(known, target.double(), 0)
        return known, mark, torch.where(known.any(1), weight, 0)
