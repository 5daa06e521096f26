"""Shares of spans whose borders are hit within a few bars, and by how much matched borders miss."""

from __future__ import annotations

from typing import Literal

import numpy as np

from moola_eval._arguments import FloatArray
from moola_eval.matching import Matches
from moola_eval.score import Score, mean, ratio

Side = Literal["onset", "offset", "both", "centre"]
Denominator = Literal["true", "matched"]
Border = Literal["onset", "offset", "centre", "length"]


def hit_at(matches: Matches, *, k: float, side: Side = "both", denominator: Denominator = "true") -> Score:
    """Share of true spans whose matched prediction lies within k bars (inclusive).

    Args:
        matches: Pairs of true and predicted spans, for instance by `Overlap`.
        k: Tolerance in bars; 0 is exact.
        side: What must lie within k: first bar, last bar, both, or the centre (start + end) / 2.
        denominator: "true" counts all true spans, an unmatched one as no hit; "matched" only the matched.

    Returns:
        The score.
    """
    if k < 0:
        raise ValueError(f"k: want 0 or more bars, got {k}")
    onset, offset = np.abs(matches.onset_error), np.abs(matches.offset_error)
    centre = np.abs(matches.onset_error + matches.offset_error) / 2
    miss = {"onset": onset, "offset": offset, "both": np.maximum(onset, offset), "centre": centre}[side]
    n = len(matches.true.lengths)
    where = matches.true.sequence[matches.true_index]
    hit = np.bincount(where, weights=miss <= k, minlength=n).astype(np.float64)
    count = (matches.true if denominator == "true" else matches).per_sequence.astype(np.float64)
    words = (
        f"share of {'all' if denominator == 'true' else 'matched'} true spans with {side} within {k:g} bars"
    )
    return mean(f"hit_at_{k:g}_{side}", f"{words}; {matches.definition}", hit, count, unit="spans")


def boundary_error(matches: Matches, *, of: Border) -> Score:
    """Mean absolute error of a border over matched pairs, in bars.

    Args:
        matches: Pairs of true and predicted spans.
        of: First bar, last bar, centre, or length.

    Returns:
        The score, lower is better, with parts "bias" (signed mean, positive is late or long) and "rms". It
        says nothing of spans that were not matched: read it beside the recall.
    """
    onset, offset = matches.onset_error.astype(np.float64), matches.offset_error.astype(np.float64)
    error = {"onset": onset, "offset": offset, "centre": (onset + offset) / 2, "length": offset - onset}[of]
    n = len(matches.true.lengths)
    where = matches.true.sequence[matches.true_index]

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(where, weights=values, minlength=n).astype(np.float64)

    return Score(
        name=f"{of}_mae",
        definition=f"mean |{of} error| in bars of matched pairs; {matches.definition}",
        sums=np.stack([total(np.abs(error)), total(error), total(error**2), matches.per_sequence], axis=1),
        columns=("absolute", "signed", "squared", "n_pairs"),
        formula=lambda s: ratio(s[..., 0], s[..., 3]),
        parts={
            "bias": lambda s: ratio(s[..., 1], s[..., 3]),
            "rms": lambda s: np.sqrt(ratio(s[..., 2], s[..., 3])),
        },
        higher_is_better=False,
        best=0.0,
    )
