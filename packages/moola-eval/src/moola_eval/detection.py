"""F1 over spans that match one to one."""

from __future__ import annotations

import numpy as np

from moola_eval.matching import Criterion, IoU, Labels, Matches, Method, match
from moola_eval.score import Score, f_score
from moola_eval.spans import Spans


def span_f1(
    true: Spans,
    pred: Spans,
    *,
    criterion: Criterion | float = 0.5,
    labels: Labels = "strict",
    method: Method = "optimal",
    beta: float = 1.0,
) -> Score:
    """Scores predicted spans against true ones, pooled over sequences.

    Args:
        true: True spans.
        pred: Predicted spans of the same sequences.
        criterion: Which pairs count; a number t means `IoU(t)`: intersection over union >= t.
        labels: Whether labels must agree.
        method: How pairs are chosen, see `match`.
        beta: Weight of recall against precision.

    Returns:
        The score, with counts tp, n_pred, n_true and parts "precision" and "recall". F is NaN only where
        there is neither a true nor a predicted span.

    >>> true = Spans.from_lists([[(40, 49)]], lengths=[105])
    >>> pred = Spans.from_lists([[(40, 49), (70, 79)]], lengths=[105])
    >>> score = span_f1(true, pred)
    >>> round(score.value, 3), score["precision"], score["recall"], score.counts["tp"]
    (0.667, 0.5, 1.0, 1.0)
    """
    rule = IoU(criterion) if isinstance(criterion, float | int) else criterion
    return matched_f1(match(true, pred, criterion=rule, labels=labels, method=method), beta=beta)


def matched_f1(matches: Matches, *, beta: float = 1.0) -> Score:
    """Scores a matching that was made before."""
    return f_score(
        "span_f1",
        f"F1 of spans, pooled; {matches.definition}",
        tp=matches.per_sequence.astype(np.float64),
        n_pred=matches.pred.per_sequence.astype(np.float64),
        n_true=matches.true.per_sequence.astype(np.float64),
        beta=beta,
    )
