"""Maximum-weight matching where the edges form a staircase, in one pass.

If the spans of either side are disjoint and sorted, so are the edges between overlapping spans: neighbours
in (truth, prediction) order share exactly one end, and the other end never comes back. Such a component is a
tree that is walked edge by edge, and two numbers a step suffice: the best total so far, and the best total
that leaves free the end which the next edge shares.
"""

from __future__ import annotations

import numpy as np

from moola_eval._arguments import BoolArray, FloatArray, IntArray


def is_staircase(truth: IntArray, guess: IntArray) -> bool:
    """Says whether edges sorted by (truth, guess) form staircases only."""
    return bool(np.all(np.diff(guess) >= 0))


def match_staircase(truth: IntArray, guess: IntArray, weight: FloatArray) -> BoolArray:
    """Picks the edges of largest cardinality, among those of largest total weight, among those the earliest.

    Args:
        truth: (e,) int64, first end of each edge, non-decreasing.
        guess: (e,) int64, second end, non-decreasing.
        weight: (e,) float64 in [0, 1].

    Returns:
        (e,) bool, the picked edges; no two share an end.
    """
    edges = len(truth)
    # One edge more outweighs every sum of weights: count + sum / (edges + 1), with the sum <= edges.
    gain = (1.0 + weight / (edges + 1)).tolist()
    same_truth = (truth[1:] == truth[:-1]).tolist()
    same_guess = (guess[1:] == guess[:-1]).tolist()
    taken = [False] * edges
    straight = [False] * edges
    best = free = 0.0
    for i in range(edges):
        linked = i > 0 and (same_truth[i - 1] or same_guess[i - 1])
        if not linked:
            best, free = 0.0, 0.0
        going = i + 1 < edges and (same_truth[i] or same_guess[i])
        straight[i] = linked and going and same_truth[i - 1] == same_truth[i]
        with_edge = free + gain[i]
        taken[i] = with_edge > best
        best, free = max(best, with_edge), free if straight[i] else best
    picked = np.zeros(edges, dtype=np.bool_)
    must_be_free = False
    for i in range(edges - 1, -1, -1):
        if not (i + 1 < edges and (same_truth[i] or same_guess[i])):
            must_be_free = False
        if must_be_free:
            must_be_free = straight[i]
        elif taken[i]:
            picked[i] = must_be_free = True
    return picked
