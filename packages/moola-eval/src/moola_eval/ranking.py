"""Metrics of an order: average precision and the area under the ROC curve, equal scores as one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray, matrix, same_shape
from moola_eval.score import Formula, ratio

Curve = Literal["step", "interpolated", "coco101", "auroc"]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Items in falling order of their score.

    Unlike a `Score` it is no sum: resampling weighs the items of each group and walks the order again.

    Attributes:
        name: Short name.
        definition: What exactly is computed.
        curve: How the value comes from the order.
        positive: (e,) bool, whether the item is right, in falling order of score.
        score: (e,) float64, falling.
        sequence: (e,) int64, the item's sequence.
        n_true: (n,) float64, positives of each sequence, including those that no item found.
        higher_is_better: Always True.
        best: Always 1.
    """

    name: str
    definition: str
    curve: Curve
    positive: BoolArray
    score: FloatArray
    sequence: IntArray
    n_true: FloatArray
    higher_is_better: bool = True
    best: float = 1.0

    @classmethod
    def of(
        cls,
        name: str,
        definition: str,
        *,
        curve: Curve,
        score: npt.NDArray[np.floating],
        positive: BoolArray,
        sequence: IntArray,
        n_true: FloatArray,
    ) -> Ranking:
        """Sorts items by falling score."""
        order = np.argsort(-score, kind="stable")
        return cls(
            name, definition, curve, positive[order], score[order].astype(np.float64), sequence[order], n_true
        )

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return len(self.n_true)

    @property
    def value(self) -> float:
        """The metric; NaN without positives, for the ROC also without negatives."""
        n = self.n_sequences
        return float(self.weighted(np.arange(n), n)(np.ones((1, n)))[0])

    @property
    def counts(self) -> dict[str, float]:
        """Numbers of items, of right items, and of positives there were."""
        found = float(self.positive.sum())
        return {"n_items": float(len(self.positive)), "n_right": found, "n_true": float(self.n_true.sum())}

    def named(self, name: str) -> Ranking:
        """Returns the same ranking under another name."""
        return replace(self, name=name)

    def weighted(self, index: IntArray, groups: int) -> Formula:
        """Returns the function from weights of the groups (B, G) to values (B,).

        Args:
            index: (n,) int64, group of each sequence.
            groups: G.
        """
        of_item = index[self.sequence]
        true_of_group = np.bincount(index, weights=self.n_true, minlength=groups)
        ends = np.flatnonzero(np.append(self.score[1:] != self.score[:-1], True)[: len(self.score)])
        walk = _roc if self.curve == "auroc" else _precision_curve

        def values(weight: FloatArray) -> FloatArray:
            total = weight @ true_of_group
            rows = [
                walk(row[of_item], self.positive, ends, float(n), self.curve)
                for row, n in zip(weight, total, strict=True)
            ]
            return np.array(rows)

        return values


def bar_auroc(probability: npt.NDArray[np.floating], true: BoolArray) -> Ranking:
    """Chance that a bar inside a true span has a higher probability than one outside, ties half; pooled.

    Args:
        probability: (n, K) floats in [0, 1].
        true: (n, K) bool, bars inside a true span.

    >>> bar_auroc(np.array([[0.9, 0.5, 0.5, 0.1]]), np.array([[True, True, False, False]])).value
    0.875
    """
    words = "P(probability inside a true span > outside), ties half, bars pooled"
    return _bars("bar_auroc", words, "auroc", probability, true)


def bar_average_precision(probability: npt.NDArray[np.floating], true: BoolArray) -> Ranking:
    """Average precision over bars: recall gained x precision, added up over distinct values; pooled.

    Args:
        probability: (n, K) floats in [0, 1].
        true: (n, K) bool, bars inside a true span.
    """
    words = "average precision of bars, step sum, equal probabilities one step, bars pooled"
    return _bars("bar_ap", words, "step", probability, true)


def _bars(
    name: str, definition: str, curve: Curve, probability: npt.NDArray[np.floating], true: BoolArray
) -> Ranking:
    p = matrix("probability", probability, low=0.0, high=1.0)
    same_shape("true", true, p.shape)
    n, bars = p.shape
    return Ranking.of(
        name,
        definition,
        curve=curve,
        score=p.reshape(-1),
        positive=true.reshape(-1),
        sequence=np.repeat(np.arange(n), bars),
        n_true=true.sum(axis=1).astype(np.float64),
    )


def _precision_curve(
    weight: FloatArray, positive: BoolArray, ends: IntArray, n_true: float, curve: Curve
) -> float:
    if n_true == 0:
        return float("nan")
    hits = np.cumsum(weight * positive)[ends]
    precision = np.nan_to_num(ratio(hits, np.cumsum(weight)[ends]), nan=0.0)
    recall = hits / n_true
    if curve != "step":
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    if curve == "coco101":
        at = np.searchsorted(recall, np.linspace(0.0, 1.0, 101), "left")
        return float(np.mean(np.append(precision, 0.0)[np.minimum(at, len(precision))]))
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _roc(weight: FloatArray, positive: BoolArray, ends: IntArray, n_true: float, curve: Curve) -> float:
    hits = np.cumsum(weight * positive)[ends]
    misses = np.cumsum(weight * ~positive)[ends]
    if not len(ends) or hits[-1] == 0 or misses[-1] == 0:
        return float("nan")
    step = np.diff(misses, prepend=0.0)
    won = np.diff(hits, prepend=0.0) * (misses[-1] - misses + step / 2)
    return float(won.sum() / (hits[-1] * misses[-1]))
