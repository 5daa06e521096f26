"""Cuts bars into pieces that a labelling tool can show, none of which breaks a span or a segment."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from moola_data.features import segment_heads
from moola_data.schema import Bars, Spans


def cut_bars(bars: Bars, spans: Sequence[Spans], *, max_bars: int) -> list[tuple[int, int]]:
    """Cuts every segment into pieces, as long as allowed, without overlap.

    Args:
        bars: The bars.
        spans: Spans of any number of annotators on these bars; a cut goes round them.
        max_bars: Most bars a piece.

    Returns:
        First bar of each piece, and the bar behind it.

    Raises:
        ValueError: `max_bars` is below 1, or no cut near enough leaves all spans whole.
    """
    if max_bars < 1:
        raise ValueError(f"max_bars: want 1 or more, got {max_bars}")
    step = np.zeros(len(bars) + 1, np.int64)
    for one in spans:
        np.add.at(step, one.start + 1, 1)
        np.add.at(step, one.end + 1, -1)
    free = np.cumsum(step) == 0
    last_free = np.maximum.accumulate(np.where(free, np.arange(len(free)), -1))
    pieces: list[tuple[int, int]] = []
    heads = segment_heads(bars.segment).tolist()
    for first, after in itertools.pairwise(heads):
        while after - first > max_bars:
            cut = int(last_free[first + max_bars])
            if cut <= first:
                raise ValueError(
                    f"max_bars: want more than {max_bars}, as spans cover every bar from bar {first} on"
                )
            pieces.append((first, cut))
            first = cut
        pieces.append((first, after))
    return pieces
