"""Blocks of time across all symbols, and the parts of a data set made of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars

Int = npt.NDArray[np.int64]
Part = Literal["train", "inner", "test"]
PARTS: tuple[Part, Part, Part] = ("train", "inner", "test")
"""In the order of time: to fit on, to choose on, to report on. Their positions are the split's numbers."""


def time_blocks(bars: Bars, *, size: int = 105) -> Int:
    """Numbers blocks of `size` successive times. Bars of all symbols at one time share a block.

    Markets move together, so what two symbols do at one time is no independent evidence. A rest of less than
    `size` times joins the last block.

    Args:
        bars: The bars.
        size: Distinct times a block; the number of bars a window is a good choice.

    Returns:
        Block of each bar, counted from 0 in the order of time, i8 (N,).

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"size: want 1 or more times a block, got {size}")
    times, rank = np.unique(bars.time, return_inverse=True)
    last = max(len(times) // size, 1) - 1
    return np.minimum(rank // size, last).astype(np.int64)


def block_parts(
    block: Int, *, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
) -> npt.NDArray[np.int8]:
    """Divides the blocks into train, inner and test, in the order of time.

    Args:
        block: Block of each bar, counted from 0, i8 (N,).
        fractions: Share of the blocks of each part, rounded to whole blocks, at least one each.

    Returns:
        Part of each bar: 0, 1 or 2, i1 (N,).

    Raises:
        ValueError: The fractions are not three positive numbers of sum 1, or there are fewer than three
            blocks.
    """
    # Written so that NaN fails too.
    if (
        len(fractions) != 3
        or not all(share > 0 for share in fractions)
        or not abs(sum(fractions) - 1) <= 1e-9
    ):
        raise ValueError(f"fractions: want three positive numbers of sum 1, got {fractions}")
    blocks = int(block.max()) + 1 if len(block) else 0
    if blocks < len(PARTS):
        raise ValueError(
            f"bars: want at least 1 block of time for each of {', '.join(PARTS)}, got {blocks} in all: "
            f"there are {len(block)} bars"
        )
    first = min(max(round(fractions[0] * blocks), 1), blocks - 2)
    second = min(max(round((fractions[0] + fractions[1]) * blocks), first + 1), blocks - 1)
    bound = np.array([first, second])
    return np.searchsorted(bound, block, side="right").astype(np.int8)
