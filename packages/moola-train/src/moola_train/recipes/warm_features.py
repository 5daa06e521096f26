"""Features of any stretch of bars, in bounded memory, and the same however the bars come.

A stretch (one segment of one symbol) is cut into blocks. The features of a block are computed from some way
before it, so that memory is bounded by a block and a stream, which has forgotten the far past, finds the very
numbers that a whole file gives. A stretch within its first block has the features it has in training; later
blocks begin eight warm-ups early, where features have long forgotten where their bars began.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.features import FeatureSet, segment_heads
from moola_data.schema import Bars

BLOCK = 32_768
"""Bars a block."""
RUN_UP = 8
"""Warm-ups before a block."""
Matrix = npt.NDArray[np.float32]


def first_needed(bar: int, features: FeatureSet) -> int:
    """First bar of a stretch that the features of a bar are computed from, both counted from its head."""
    return max(bar // BLOCK * BLOCK - RUN_UP * features.warmup, 0)


def warm_features(bars: Bars, features: FeatureSet, first: int, after: int, *, offset: int = 0) -> Matrix:
    """Computes the features of the bars first..after-1.

    Args:
        bars: The bars.
        features: What to compute.
        first: First bar.
        after: Bar after the last.
        offset: How many bars of the first stretch came before the first bar, and are forgotten.

    Returns:
        f4 (after - first, F), C order.

    Raises:
        ValueError: A bar is needed that is forgotten.
    """
    rows, heads, kept, size = [], [0], [], 0
    begins = segment_heads(bars.segment)
    near = slice(max(int(np.searchsorted(begins, first, "right")) - 1, 0), None)
    for head, end in zip(begins[near], begins[1:][near], strict=False):
        if head >= after:
            break
        shift = int(head) - (offset if head == 0 else 0)  # bar number = number in the stretch + shift
        at, last = max(first, int(head)), min(after, int(end))
        while at < last:
            stop = min((at - shift) // BLOCK * BLOCK + BLOCK + shift, last)
            begin = first_needed(at - shift, features) + shift
            if begin < 0:
                raise ValueError(
                    f"offset: want the bars from {begin + offset} of the stretch on, got {offset}"
                )
            rows.append(np.arange(begin, stop))
            kept.append(np.arange(size + at - begin, size + stop - begin))
            size += stop - begin
            heads.append(size)
            at = stop
    if not rows:
        return np.empty((0, len(features.features)), np.float32)
    index = np.concatenate(rows)
    values = np.empty((size, len(features.features)), np.float32)
    prices = (bars.open[index], bars.high[index], bars.low[index], bars.close[index])
    features.fill(*prices, np.array(heads, np.int64), values)
    return values[np.concatenate(kept)]
