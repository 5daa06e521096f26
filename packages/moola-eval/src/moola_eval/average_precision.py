"""Average precision of scored spans at a temporal IoU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from moola_eval._arguments import FloatArray, IntArray
from moola_eval.matching import IoU, Labels, candidates, match
from moola_eval.ranking import Ranking
from moola_eval.score import Formula, Metric
from moola_eval.spans import Spans

Assign = Literal["next_best", "best_only"]
Interpolation = Literal["all", "none", "coco101"]


def average_precision(
    true: Spans,
    pred: Spans,
    *,
    iou: float = 0.5,
    assign: Assign = "next_best",
    interpolation: Interpolation = "all",
    labels: Labels = "ignored",
) -> Ranking:
    """Average precision of predictions ranked by score over all sequences.

    Predictions choose a true span in falling order of score; within equal scores the larger IoU goes first,
    so that no order of rows matters, and all of them are one step of the curve.

    Args:
        true: True spans.
        pred: Predicted spans with scores.
        iou: Smallest intersection over union of a hit.
        assign: "next_best" gives a prediction the best true span that is still free (ActivityNet, COCO);
            "best_only" counts it wrong if its best one is taken (PASCAL VOC).
        interpolation: "all" takes at each recall the highest precision at that recall or beyond; "none" the
            precision there; "coco101" averages the former at 101 recalls.
        labels: Whether labels must agree.

    Returns:
        The ranking; NaN where there is no true span.

    Raises:
        ValueError: The predictions have no scores.

    >>> true = Spans.from_lists([[(40, 49)]], lengths=[105])
    >>> pred = Spans.from_lists([[(40, 49, 0, 0.5), (0, 9, 0, 0.5), (60, 69, 0, 0.5)]], lengths=[105])
    >>> round(average_precision(true, pred).value, 6)
    0.333333
    """
    score = np.zeros(0) if not len(pred) else pred.score
    if score is None:
        raise ValueError("pred: want spans with scores, got none")
    rule = IoU(iou)
    hit = np.zeros(len(pred), dtype=np.bool_)
    if assign == "next_best":
        hit[match(true, pred, criterion=rule, labels=labels, method="greedy_score").pred_index] = True
    else:
        hit[_best_only(*candidates(true, pred, criterion=rule, labels=labels), score)] = True
    curve: dict[Interpolation, Literal["interpolated", "step", "coco101"]] = {
        "all": "interpolated",
        "none": "step",
        "coco101": "coco101",
    }
    words = {
        "all": "highest precision at that recall or beyond",
        "none": "precision there",
        "coco101": "101 recalls",
    }
    return Ranking.of(
        "span_ap",
        f"average precision of spans, {words[interpolation]}; {rule}; {assign.replace('_', ' ')}; "
        f"equal scores one step; labels {labels}",
        curve=curve[interpolation],
        score=score,
        positive=hit,
        sequence=pred.sequence,
        n_true=true.per_sequence.astype(np.float64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """The mean of several metrics on the same sequences; NaN if one of them is."""

    name: str
    definition: str
    members: tuple[Metric, ...]
    higher_is_better: bool = True
    best: float = 1.0

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return self.members[0].n_sequences

    @property
    def value(self) -> float:
        """The mean."""
        return float(np.mean([member.value for member in self.members]))

    @property
    def counts(self) -> dict[str, float]:
        """Number of averaged metrics."""
        return {"n_metrics": float(len(self.members))}

    def weighted(self, index: IntArray, groups: int) -> Formula:
        """Returns the function from weights of the groups (B, G) to values (B,)."""
        functions = [member.weighted(index, groups) for member in self.members]

        def values(weight: FloatArray) -> FloatArray:
            return np.asarray(np.mean([function(weight) for function in functions], axis=0))

        return values


def mean_average_precision(
    true: Spans,
    pred: Spans,
    *,
    iou: Sequence[float] = (0.3, 0.4, 0.5, 0.6, 0.7),
    assign: Assign = "next_best",
    interpolation: Interpolation = "all",
) -> Averaged:
    """Mean average precision over the labels that occur in the truth and over IoU thresholds.

    Args:
        true: True spans.
        pred: Predicted spans with scores.
        iou: Thresholds.
        assign: See `average_precision`.
        interpolation: See `average_precision`.

    Returns:
        The mean; its members are the average precisions by label, then threshold. A label that is never
        predicted counts 0.

    Raises:
        ValueError: There is no true span, no threshold, or no score.
    """
    labels = np.unique(true.label)
    if not len(labels) or not len(iou):
        raise ValueError(f"true: want at least one span and one threshold, got {len(true)} and {len(iou)}")
    members = [
        average_precision(
            true.labelled(int(c)), pred.labelled(int(c)), iou=t, assign=assign, interpolation=interpolation
        )
        for c in labels
        for t in iou
    ]
    words = f"mean over labels {labels.tolist()} and IoU {list(iou)} of {members[0].definition}"
    return Averaged("span_map", words, tuple(members))


def _best_only(t: IntArray, p: IntArray, iou: FloatArray, score: FloatArray) -> IntArray:
    """Predictions that get the one true span with which each of them overlaps best."""
    order = np.lexsort([t, -iou, p])
    first = order[np.flatnonzero(np.diff(p[order], prepend=-1))]
    t, p, iou = t[first], p[first], iou[first]
    # Of several predictions with the same best true span the surest gets it, of equals the closest.
    order = np.lexsort([p, -iou, -score[p], t])
    return p[order[np.flatnonzero(np.diff(t[order], prepend=-1))]]
