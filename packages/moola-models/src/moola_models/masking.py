"""Which bars of a window are hidden in pretraining: scattered, one block, patches, or runs of random length.

Every draw hides the same number of a window's valid bars whatever the pattern, so patterns can be compared at
one ratio. Positions are counted among the valid bars: a run never spends its length on padding.

B batch, K bars.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Pattern = Literal["random", "block", "patch", "runs"]
"""random: bars one by one. block: one run. patch: whole patches of a grid. runs: several runs of geometric
length up to a longest one (Joshi et al. 2020, SpanBERT)."""


class Masking(BaseModel):
    """How many bars are hidden and in what pattern.

    >>> Masking(pattern="block", ratio=0.3).count(torch.tensor([105, 20, 1, 0]))
    tensor([31,  6,  1,  0])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: Pattern = "runs"
    ratio: float = Field(default=0.15, gt=0, lt=1)
    """Hidden share of a window's valid bars: its floor is hidden, but at least one bar."""
    patch: int = Field(default=7, ge=1)
    """Bars of a patch; the last patch to be hidden is cut where the count is reached."""
    stop: float = Field(default=0.2, gt=0, le=1)
    """Chance that a run ends after each of its bars: the mean of an uncut run is 1 / stop."""
    longest: int = Field(default=10, ge=1)
    """Lengths are geometric given that they are no longer than this."""

    def count(self, valid_B: Tensor) -> Tensor:
        """Returns how many of so many valid bars are hidden, int64 (B,)."""
        # One part in 10^9 keeps 0.3 * 10 at 3.
        wanted = torch.floor(valid_B * self.ratio * (1 + 1e-9) + 1e-9).long()
        return torch.minimum(wanted.clamp(min=1), valid_B.long())


def draw_hidden(valid_BK: Tensor, masking: Masking, *, seed: int | None = None) -> Tensor:
    """Draws the hidden bars of each window.

    Args:
        valid_BK: bool, the bars that may be hidden.
        masking: Pattern and ratio.
        seed: Of the draw. None takes the numbers from torch's random state, as dropout does, so a training
            loop that restores this state resumes with the same masks.

    Returns:
        bool (B, K): True where hidden, never where not valid; `Masking.count` bars in every window.

    Raises:
        ValueError: If `valid_BK` is not bool of two dimensions.

    >>> draw_hidden(torch.ones(1, 12, dtype=torch.bool), Masking(pattern="block", ratio=0.25), seed=1).int()
    tensor([[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]], dtype=torch.int32)
    """
    if valid_BK.dtype != torch.bool or valid_BK.ndim != 2:
        raise ValueError(f"valid_BK: want bool of shape (B, K), got {valid_BK.dtype} {tuple(valid_BK.shape)}")
    random = _Random(valid_BK, seed)
    valid_B = valid_BK.sum(1)
    turn_BK = _TURNS[masking.pattern](random, masking, valid_B)
    # Places are taken in the order of their turns until the count is reached.
    place_K = torch.arange(valid_BK.shape[1], device=valid_BK.device)
    turn_BK = torch.where(place_K < valid_B[:, None], turn_BK, torch.inf)
    rank_BK = turn_BK.argsort(dim=1, stable=True).argsort(dim=1)
    chosen_BK = rank_BK < masking.count(valid_B)[:, None]
    place_BK = (valid_BK.cumsum(1) - 1).clamp(min=0)
    hidden_BK: Tensor = chosen_BK.gather(1, place_BK) & valid_BK
    return hidden_BK


class _Random:
    """Uniform numbers in [0, 1), by seed or from the device's random state."""

    def __init__(self, like_BK: Tensor, seed: int | None) -> None:
        self.windows, self.bars = like_BK.shape
        self._device = like_BK.device
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def draw(self, columns: int) -> Tensor:
        """Returns float64 (B, columns): with 32 bits, u times the bars could round up to the bars."""
        if self._generator is None:
            return torch.rand(self.windows, columns, device=self._device, dtype=torch.float64)
        drawn = torch.rand(self.windows, columns, generator=self._generator, dtype=torch.float64)
        return drawn.to(self._device)


def _random_turns(random: _Random, masking: Masking, valid_B: Tensor) -> Tensor:
    return random.draw(random.bars)


def _block_turns(random: _Random, masking: Masking, valid_B: Tensor) -> Tensor:
    free_B = valid_B - masking.count(valid_B) + 1
    first_B1 = torch.floor(random.draw(1) * free_B[:, None])
    place_K = torch.arange(random.bars, device=valid_B.device)
    return torch.where(place_K < first_B1, torch.inf, place_K.double())


def _patch_turns(random: _Random, masking: Masking, valid_B: Tensor) -> Tensor:
    place_K = torch.arange(random.bars, device=valid_B.device)
    patches = math.ceil(random.bars / masking.patch)
    order_BP = random.draw(patches).argsort(dim=1)
    # The last patch is cut at either end: always at the same one would leave some bars never hidden.
    within_BK = torch.where(random.draw(1) < 0.5, place_K, -place_K) % masking.patch
    return order_BP[:, place_K // masking.patch] * masking.patch + within_BK.double()


def _run_turns(random: _Random, masking: Masking, valid_B: Tensor) -> Tensor:
    """Gives each place the number of the first run that covers it; uncovered places come last, at random."""
    runs = math.ceil(3 * masking.ratio * random.bars * max(masking.stop, 1 / masking.longest)) + 8
    first_BM = torch.floor(random.draw(runs) * valid_B[:, None])
    within = 1 - (1 - masking.stop) ** masking.longest
    if masking.stop < 1:
        # Inverse of the geometric distribution function, its upper end cut off.
        length_BM = torch.ceil(torch.log1p(-random.draw(runs) * within) / math.log1p(-masking.stop)).clamp(
            min=1, max=masking.longest
        )
    else:
        length_BM = torch.ones_like(first_BM)
    place_K = torch.arange(random.bars, device=valid_B.device)
    since_BMK = place_K - first_BM[:, :, None]
    covered_BMK = (since_BMK >= 0) & (since_BMK < length_BM[:, :, None])
    turn_M1 = torch.arange(runs, device=valid_B.device, dtype=torch.float64)[:, None]
    turn_BK = torch.where(covered_BMK, turn_M1, torch.inf).amin(1)
    return torch.where(turn_BK.isinf(), runs + random.draw(random.bars), turn_BK)


_TURNS = {"random": _random_turns, "block": _block_turns, "patch": _patch_turns, "runs": _run_turns}
