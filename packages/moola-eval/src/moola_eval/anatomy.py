"""What went wrong: every true and every predicted span in exactly one class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moola_eval._arguments import BoolArray, IntArray
from moola_eval.matching import IoU, Overlap, candidates, match
from moola_eval.spans import Spans

TRUE_CLASSES = ("correct", "wrong_type", "merged", "split", "shifted", "missed")
PRED_CLASSES = ("correct", "wrong_type", "merged", "split", "shifted", "spurious")


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Classes of true and predicted spans.

    Attributes:
        true: (n_true,) int64, index into `TRUE_CLASSES`, in the order of the true spans.
        pred: (n_pred,) int64, index into `PRED_CLASSES`.
        definition: The rules.
    """

    true: IntArray
    pred: IntArray
    definition: str

    @property
    def true_counts(self) -> dict[str, int]:
        """True spans by class; they add up to all true spans."""
        counts = np.bincount(self.true, minlength=len(TRUE_CLASSES)).tolist()
        return dict(zip(TRUE_CLASSES, counts, strict=True))

    @property
    def pred_counts(self) -> dict[str, int]:
        """Predicted spans by class; they add up to all predictions."""
        counts = np.bincount(self.pred, minlength=len(PRED_CLASSES)).tolist()
        return dict(zip(PRED_CLASSES, counts, strict=True))


def anatomy(true: Spans, pred: Spans, *, iou: float = 0.5) -> Anatomy:
    """Sorts spans into classes.

    Spans are matched one to one at the IoU, first among equal labels, then the rest without labels:
    *correct* and *wrong_type*. Of what is left, a span is

    * *merged* if it shares bars with a prediction that touches several true spans (or is that prediction);
    * else *split* if the true span it belongs to is touched by several predictions;
    * else *shifted* if it touches the other side at all;
    * else *missed* (true) or *spurious* (predicted).

    Args:
        true: True spans.
        pred: Predicted spans.
        iou: Smallest intersection over union of a match.

    Returns:
        The classes; numbers of correct and of wrong_type are equal on both sides.

    >>> true = Spans.from_lists([[(20, 29), (35, 44)], [(5, 9)]], lengths=[105, 105])
    >>> pred = Spans.from_lists([[(20, 44)], [(50, 54)]], lengths=[105, 105])
    >>> found = anatomy(true, pred)
    >>> found.true_counts["merged"], found.true_counts["missed"], found.pred_counts["spurious"]
    (2, 1, 1)
    """
    right = match(true, pred, criterion=IoU(iou), labels="strict")
    free_true, free_pred = np.ones(len(true), dtype=np.bool_), np.ones(len(pred), dtype=np.bool_)
    free_true[right.true_index] = free_pred[right.pred_index] = False
    rest_true, rest_pred = np.flatnonzero(free_true), np.flatnonzero(free_pred)
    other = match(true.rows(rest_true), pred.rows(rest_pred), criterion=IoU(iou), labels="ignored")

    t, p, _ = candidates(true, pred, criterion=Overlap(), labels="ignored")
    by_true, by_pred = np.bincount(t, minlength=len(true)), np.bincount(p, minlength=len(pred))
    pred_merges, true_is_split = by_pred > 1, by_true > 1
    true_class = _rest(by_true, _any(t, pred_merges[p], len(true)), true_is_split)
    pred_class = _rest(by_pred, pred_merges, _any(p, true_is_split[t], len(pred)))
    true_class[right.true_index] = pred_class[right.pred_index] = 0
    true_class[rest_true[other.true_index]] = pred_class[rest_pred[other.pred_index]] = 1
    return Anatomy(true_class, pred_class, f"classes of spans; matched one to one at iou>={iou:g}")


def _rest(touched: IntArray, merged: BoolArray, split: BoolArray) -> IntArray:
    return np.select([touched == 0, merged, split], [5, 2, 3], default=4).astype(np.int64)


def _any(row: IntArray, flag: BoolArray, size: int) -> BoolArray:
    return np.bincount(row, weights=flag, minlength=size) > 0
