"""The two scores that ceilings speak of, small and plain; moola-eval has them with everything around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.spans import Runs


def bar_f1(predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> float:
    """Micro F1 of bars, 2 hits / (predicted + true); NaN where both sides are empty."""
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else float("nan")


def span_f1(predicted: Runs, true: Runs, *, iou: float = 0.5) -> float:
    """Micro F1 of spans, 2 matches / (predicted + true); NaN where both sides are empty.

    A prediction may match a true span of its window where their intersection over union is at least `iou`;
    matches are one to one and as many as possible.
    """
    total = len(predicted.start) + len(true.start)
    return 2 * match_count(predicted, true, iou=iou) / total if total else float("nan")


def match_count(predicted: Runs, true: Runs, *, iou: float = 0.5) -> int:
    """Size of the largest one-to-one matching within windows of spans that overlap by `iou` or more."""
    order = np.argsort(true.window, kind="stable")
    low = np.searchsorted(true.window[order], predicted.window, side="left")
    high = np.searchsorted(true.window[order], predicted.window, side="right")
    partners: list[list[int]] = []
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        there = order[a:b]
        shared = (
            np.minimum(true.end[there], predicted.end[i])
            - np.maximum(true.start[there], predicted.start[i])
            + 1
        )
        size = true.end[there] - true.start[there] + predicted.end[i] - predicted.start[i] + 2
        fits = (shared > 0) & (shared >= iou * (size - shared))
        partners.append(there[fits].tolist())
    taken: dict[int, int] = {}
    return sum(_augment(i, partners, taken, set()) for i in range(len(partners)))


def _augment(i: int, partners: list[list[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Finds prediction i a partner, moving others aside where that helps (Kuhn's augmenting path)."""
    for j in partners[i]:
        if j not in tried:
            tried.add(j)
            if j not in taken or _augment(taken[j], partners, taken, tried):
                taken[j] = i
                return True
    return False
