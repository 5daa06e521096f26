"""The spans to predict for the best expected F1, given the exact posterior of the true ones.

With F1 = 2 matches / (predicted + true), predicting one more span pays as soon as its probability of a match
exceeds F1 / 2 (Dinkelbach 1967 on a ratio; the bar-wise case is Lipton et al. 2014). Given that price, the
best set of separated spans is an interval scheduling problem that dynamic programming solves exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data.posterior import covered

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Decoded(NamedTuple):
    """Predicted spans by window, positions from the window's first bar, both ends inclusive; m spans."""

    window: Integers
    start: Integers
    end: Integers
    chance: Floats
    """(m,) probability that a true span overlaps it by an intersection over union of 0.5 or more."""


class BestSpans(NamedTuple):
    """The decoded spans of n windows and what to expect of them."""

    spans: Decoded
    f1: float
    matches: Floats
    """(n,) expected number of matches in each window."""
    true: Floats
    """(n,) expected number of true spans in each window, cut ones included."""


def decode_spans(spans: Floats, starts: Integers, stretches: Integers, *, length: int) -> BestSpans:
    """Finds the spans whose expected micro F1 at IoU >= 0.5 is highest.

    Both sides are what a window shows: a span cut by its edge counts with its visible part. The best is
    taken over sets of spans with a bar between any two, as true expansions have; then every match is unique
    and expected matches add up exactly. F1 is the ratio of the expectations over all windows.

    Args:
        spans: (N, D) P(a true span starts at bar t and shows d + 1 bars), from `posterior`.
        starts: (n,) first bars of the windows.
        stretches: (g + 1,) first bar of each stretch, then N.
        length: Bars a window.

    Returns:
        The spans; F1 is NaN where no true span is possible.
    """
    begin = stretches[np.searchsorted(stretches, starts, side="right") - 1]
    longest = min(2 * spans.shape[1], length)
    inside = covered(spans)
    for floor in (0.05, 0.0):
        # Spans whose chance cannot exceed the floor are not looked at; that is exact if they would not pay.
        chance = np.zeros((len(starts), length, longest))
        true = np.zeros(len(starts))
        _match_chances(spans, inside, starts, begin, floor, chance, true)
        if not true.sum() > 0:
            empty, nothing = np.empty(0, np.int64), np.zeros(len(starts))
            return BestSpans(Decoded(empty, empty, empty, np.empty(0)), float("nan"), nothing, true)
        f1, better = -1.0, 0.0
        while better > f1 + 1e-12:
            f1 = better
            window, start, size = _schedule(chance, f1 / 2)
            gained = chance[window, start, size - 1]
            better = float(2 * gained.sum() / (len(window) + true.sum()))
        if f1 / 2 > floor:
            break
    matches = np.bincount(window, weights=gained, minlength=len(starts)).astype(np.float64)
    return BestSpans(Decoded(window, start, start + size - 1, gained), f1, matches, true)


@numba.njit(cache=True)
def _match_chances(
    spans: Floats,
    inside: Floats,
    starts: Integers,
    begins: Integers,
    floor: float,
    chance: Floats,
    true: Floats,
) -> None:
    """Fills chance[w, i, l - 1] = P(some visible true span has IoU >= 1/2 with the l bars from bar i on)."""
    n, length, longest = chance.shape
    deepest = spans.shape[1]
    # below[s, m]: P(a visible span starts at bar s of the window and shows at most m bars).
    below = np.empty((length, deepest + 1))
    sums = np.zeros(length + 1)
    for w in range(n):
        first = starts[w]
        below[:] = 0.0
        for t in range(length):
            sums[t + 1] = sums[t] + inside[first + t]
        for t in range(max(begins[w], first - deepest + 1), first + length):
            s = max(t - first, 0)
            for d in range(deepest):
                shown = min(t + d, first + length - 1) - first - s + 1
                if shown > 0:
                    below[s, shown] += spans[t, d]
        for s in range(length):
            for m in range(1, deepest + 1):
                below[s, m] += below[s, m - 1]
            true[w] += below[s, deepest]
        for i in range(length):
            for size in range(1, min(longest, length - i) + 1):
                j = i + size - 1
                # A match shares at least half of these bars, so its chance is at most twice their mean.
                bars = sums[j + 1] - sums[i]
                if 2 * bars < floor * size:
                    continue
                total = 0.0
                for s in range(max(0, i - size), j + 1):
                    head = max(i, s)
                    # 3 |intersection| >= size + |true|, solved for the last bar e of the true span.
                    least = max((size - s - 2 + 3 * head + 1) // 2, head)
                    most = s + 3 * (j - head + 1) - size - 1
                    if least <= j and most >= j:
                        short = min(max(least - s, 0), deepest)
                        total += below[s, min(most - s + 1, deepest)] - below[s, short]
                chance[w, i, size - 1] = total


@numba.njit(cache=True)
def _schedule(chance: Floats, price: float) -> tuple[Integers, Integers, Integers]:
    """Picks separated spans of the highest total chance less price: (window, start, size) of each."""
    n, length, longest = chance.shape
    windows = np.empty(n * length, np.int64)
    begins = np.empty(n * length, np.int64)
    sizes = np.empty(n * length, np.int64)
    best = np.zeros(length + 1)
    pick = np.zeros(length + 1, np.int64)
    count = 0
    for w in range(n):
        for j in range(length):
            best[j + 1], pick[j + 1] = best[j], 0
            for size in range(1, min(longest, j + 1) + 1):
                start = j - size + 1
                value = best[max(start - 1, 0)] + chance[w, start, size - 1] - price
                if value > best[j + 1]:
                    best[j + 1], pick[j + 1] = value, size
        j = length
        while j > 0:
            if pick[j] == 0:
                j -= 1
                continue
            windows[count], begins[count], sizes[count] = w, j - pick[j], pick[j]
            count += 1
            j = max(j - pick[j] - 1, 0)
    order = np.argsort(windows[:count] * length + begins[:count])
    return windows[:count][order], begins[:count][order], sizes[:count][order]
