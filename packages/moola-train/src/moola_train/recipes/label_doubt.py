"""Which labels of a window look wrong to a network that has not learnt from them.

Three things can be wrong: a span is missing, is spurious, or is shifted. Each is weighed by odds: how much
more likely the window is if the label is wrong in that way than if it is right, at one error of each kind a
hundred labels or a thousand, whatever the rate is: it multiplies all odds and changes no order.

K bars, S sets of spans drawn from the network's posterior, m labels or doubts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]
Kind = Literal["missing", "spurious", "shifted"]
LEAST = 0.1
"""A place that fewer of the drawn sets mark is not worth a word."""
BLUR = np.array([1, 2, 3, 2, 1]) / 9
"""Nobody marks an edge to the bar: what drawn edges say of the bars beside them."""
ELSEWHERE = 1e-3
"""Chance that a person who is right puts an edge on a bar that no drawn edge is near to."""
WRONG_EDGE = 1 / 10
"""Chance of a bar to be the edge of a shifted span: one of ten or so around."""


class Doubt(NamedTuple):
    """Something that looks wrong. Bars count from the window's first; None stands for no span."""

    kind: Kind
    log_odds: float
    """Natural logarithm."""
    label: tuple[int, int] | None
    """What is marked: first and last bar."""
    better: tuple[int, int] | None
    """What the network would mark."""

    @property
    def middle(self) -> int:
        """The bar that the doubt is about."""
        about = self.label or self.better
        assert about is not None  # one of them is there
        return (about[0] + about[1]) // 2


def window_doubts(
    drawn: Mask, probability: npt.NDArray[np.floating], start: Int, end: Int, *, share: float
) -> list[Doubt]:
    """Weighs every label of a window, and every place without one where the network sees a span.

    Args:
        drawn: Sets of spans as marks of bars, (S, K).
        probability: Of every bar to lie in a span, (K,).
        start: First bars of the labelled spans, in the window, (m,).
        end: Their last bars.
        share: Share of bars in spans, 0..1: how unlikely a span is anywhere.

    Returns:
        At most one doubt a label, the likelier of the two, and one a missing span.

    Raises:
        ValueError: Shapes differ, or the share is no share.

    >>> drawn = np.zeros((10, 8), bool)
    >>> drawn[:9, 2:5] = True  # nine of ten sets have a span on bars 2..4, and nobody has marked it
    >>> none = np.zeros(0, np.int64)
    >>> [found] = window_doubts(drawn, drawn.mean(0), none, none, share=0.1)
    >>> found.kind, found.better, round(np.exp(found.log_odds))
    ('missing', (2, 4), 9)
    """
    if drawn.ndim != 2 or probability.shape != drawn.shape[1:] or start.shape != end.shape:
        raise ValueError(
            f"drawn: want (S, K) beside probabilities (K,), got {drawn.shape} and {probability.shape}; "
            f"starts {start.shape}, ends {end.shape}"
        )
    if not 0 < share < 1:
        raise ValueError(f"share: want a number between 0 and 1, got {share}")
    of_set, first, last = runs(drawn)
    touches = (first[:, None] <= end) & (last[:, None] >= start)
    found = [
        _of_label(
            (int(a), int(b)),
            float(probability[a : b + 1].max()),
            first[touches[:, i]],
            last[touches[:, i]],
            share,
            len(probability),
        )
        for i, (a, b) in enumerate(zip(start, end, strict=True))
    ]
    free = ~touches.any(1)
    return found + _missing(of_set[free], first[free], last[free], drawn.shape, probability)


def runs(marks: Mask) -> tuple[Int, Int, Int]:
    """Spans of sets of marks (S, K): number of the set, first and last bar, (m,) each."""
    edges = np.diff(np.pad(marks, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    of_set, first = np.nonzero(edges == 1)
    return of_set, first, np.nonzero(edges == -1)[1] - 1


def _of_label(label: tuple[int, int], there: float, first: Int, last: Int, share: float, bars: int) -> Doubt:
    """Spurious or shifted. `there`: that the network sees something where the label is."""
    there = float(np.clip(there, 1e-6, 1 - 1e-6))
    spurious = Doubt("spurious", float(_log_odds(1 - there) + _log_odds(share)), label, None)
    if not len(first):
        return spurious
    odds = []
    for at, edges, hidden in ((label[0], first, 0), (label[1], last, bars - 1)):
        if at != hidden:  # the window's edge is nobody's choice
            near = np.zeros(bars + len(BLUR) - 1)
            for shift, weight in enumerate(BLUR):
                np.add.at(near, edges + shift, weight / len(edges))
            odds.append(WRONG_EDGE / (ELSEWHERE + (1 - ELSEWHERE) * near[at + len(BLUR) // 2]))
    if not odds:
        return spurious
    better = int(np.median(first)), int(np.median(last))
    shifted = Doubt("shifted", float(np.log(there * np.mean(odds))), label, better)
    return max(spurious, shifted, key=lambda doubt: doubt.log_odds)


def _missing(
    of_set: Int, first: Int, last: Int, shape: tuple[int, ...], probability: npt.NDArray[np.floating]
) -> list[Doubt]:
    sets, bars = shape
    found = []
    while len(first):
        step = np.zeros(bars + 1)
        np.add.at(step, first, 1)
        np.add.at(step, last + 1, -1)
        count = np.cumsum(step[:-1])
        peak = int(count.argmax())
        if count[peak] < LEAST * sets:
            break
        here = (first <= peak) & (last >= peak)
        # Between two equal counts the exact probability decides.
        seen = (count[peak] + float(probability[peak])) / (sets + 1)
        better = int(np.median(first[here])), int(np.median(last[here]))
        odds = _log_odds(min(seen, 1 - 1e-6))
        found.append(Doubt("missing", odds, None, better))
        # A set says one thing of a place, if with two spans.
        touched = (first <= better[1]) & (last >= better[0])
        of_set, first, last = of_set[~touched], first[~touched], last[~touched]
    return found


def _log_odds(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))
