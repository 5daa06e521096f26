"""The lenient count of spans that are touched at all."""

from __future__ import annotations

import numpy as np

from moola_eval.matching import Labels, Overlap, candidates
from moola_eval.score import Score, harmonic, ratio
from moola_eval.spans import Spans


def overlap_f1(
    true: Spans, pred: Spans, *, of_true: float = 0.0, of_pred: float = 0.0, labels: Labels = "strict"
) -> Score:
    """Share of true spans touched and of predictions touching, and the harmonic mean of the two.

    The two shares have numerators of their own, so fragments and mergers cost nothing: one prediction over a
    whole window finds every span in it. Other libraries call this the event-wise F1. Use `span_f1` to judge.

    Args:
        true: True spans.
        pred: Predicted spans.
        of_true: Share of the true span that must be covered by one prediction.
        of_pred: Share of the prediction that must be covered by one true span.
        labels: Whether labels must agree.

    Returns:
        The score with parts "precision" and "recall".
    """
    rule = Overlap(of_true=of_true, of_pred=of_pred)
    t, p, _ = candidates(true, pred, criterion=rule, labels=labels)
    n = len(true.lengths)
    found, right = np.unique(t), np.unique(p)
    columns = (
        np.bincount(true.sequence[found], minlength=n),
        true.per_sequence,
        np.bincount(pred.sequence[right], minlength=n),
        pred.per_sequence,
    )
    return Score(
        name="overlap_f1",
        definition=f"harmonic mean of shares found and right; {rule}, many to many; labels {labels}",
        sums=np.stack(columns, axis=1).astype(np.float64),
        columns=("found", "n_true", "right", "n_pred"),
        formula=lambda s: harmonic(ratio(s[..., 2], s[..., 3]), ratio(s[..., 0], s[..., 1])),
        parts={
            "precision": lambda s: ratio(s[..., 2], s[..., 3]),
            "recall": lambda s: ratio(s[..., 0], s[..., 1]),
        },
    )
