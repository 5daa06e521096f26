"""A metric as sums over sequences and a formula: one shape for value, counts, intervals and comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from moola_eval._arguments import FloatArray, IntArray

Formula = Callable[[FloatArray], FloatArray]


class Metric(Protocol):
    """What intervals and reports ask of a metric: a value, and its value when groups are weighted."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def definition(self) -> str:
        """What was computed."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """False for errors."""
        ...

    @property
    def best(self) -> float:
        """Value of a perfect prediction."""
        ...

    @property
    def value(self) -> float:
        """The metric; NaN where undefined."""
        ...

    @property
    def counts(self) -> dict[str, float]:
        """What it was computed from."""
        ...

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        ...

    def weighted(self, index: IntArray, groups: int) -> Formula:
        """Returns the function from weights of the groups (B, G) to values (B,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One metric on n sequences, kept as plain sums.

    Because the state is a sum, scores of batches add up to the score of the whole, and a resample of groups
    is a weighted sum: no metric has to be computed again.

    Attributes:
        name: Short name, also the key in reports.
        definition: What exactly was computed, in words.
        sums: (n, S) float64, one row a sequence.
        columns: S names of the sums.
        formula: Maps sums (..., S) to values (...,); NaN where undefined.
        parts: Further formulas on the same sums, such as precision and recall.
        higher_is_better: False for errors.
        best: The value of a perfect prediction.
    """

    name: str
    definition: str
    sums: FloatArray
    columns: tuple[str, ...]
    formula: Formula
    parts: Mapping[str, Formula] = field(default_factory=dict)
    higher_is_better: bool = True
    best: float = 1.0

    @property
    def value(self) -> float:
        """The metric over all sequences; NaN where undefined."""
        return float(self.formula(self.sums.sum(axis=0)))

    @property
    def counts(self) -> dict[str, float]:
        """The sums over all sequences by name."""
        return dict(zip(self.columns, self.sums.sum(axis=0).tolist(), strict=True))

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return len(self.sums)

    def weighted(self, index: IntArray, groups: int) -> Formula:
        """Returns the function from weights of the groups (B, G) to values (B,).

        Args:
            index: (n,) int64, group of each sequence, 0..G-1.
            groups: G.
        """
        columns = [np.bincount(index, weights=column, minlength=groups) for column in self.sums.T]
        table = np.stack(columns, axis=1)
        return lambda weight: self.formula(weight @ table)

    def part(self, name: str) -> Score:
        """Returns a part, such as "precision", as a score of its own.

        Raises:
            ValueError: The score has no such part.
        """
        if name not in self.parts:
            raise ValueError(f"name: want one of {sorted(self.parts)}, got {name!r}")
        return replace(self, name=f"{self.name}_{name}", formula=self.parts[name], parts={})

    def named(self, name: str) -> Score:
        """Returns the same score under another name."""
        return replace(self, name=name)

    def __getitem__(self, name: str) -> float:
        """Value of a part: ``score["precision"]``."""
        return self.part(name).value

    def __add__(self, other: Score) -> Score:
        """Joins the scores of two batches of sequences."""
        if (self.name, self.definition, self.columns) != (other.name, other.definition, other.columns):
            raise ValueError(f"other: want a score of {self.definition!r}, got {other.definition!r}")
        return replace(self, sums=np.concatenate([self.sums, other.sums]))

    def __str__(self) -> str:
        counts = ", ".join(f"{name}={number:g}" for name, number in self.counts.items())
        return f"{self.name}[{self.definition}] = {self.value:.4f} ({counts})"


def ratio(top: FloatArray | np.float64, bottom: FloatArray | np.float64) -> FloatArray:
    """Divides; 0/0 and x/0 are NaN without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom == 0, np.nan, np.divide(top, bottom)))


def f_beta(
    tp: FloatArray, n_pred: FloatArray, n_true: FloatArray | np.float64, *, beta: float = 1.0
) -> FloatArray:
    """F = (1 + b^2) tp / (n_pred + b^2 n_true): not by way of precision and recall, with no epsilon."""
    weight = beta * beta
    return ratio((1 + weight) * tp, n_pred + weight * n_true)


def harmonic(precision: FloatArray, recall: FloatArray, *, beta: float = 1.0) -> FloatArray:
    """F of two rates with denominators of their own: (1 + b^2) P R / (b^2 P + R).

    It is 0 where both are 0 or only one side is there, and undefined where neither is.
    """
    p, r = np.nan_to_num(precision, nan=0.0), np.nan_to_num(recall, nan=0.0)
    value = np.nan_to_num(ratio((1 + beta * beta) * p * r, beta * beta * p + r), nan=0.0)
    return np.asarray(np.where(np.isnan(precision) & np.isnan(recall), np.nan, value))


def f_score(
    name: str, definition: str, *, tp: FloatArray, n_pred: FloatArray, n_true: FloatArray, beta: float = 1.0
) -> Score:
    """Makes the F score of true positives, predicted and true items, each (n,) by sequence."""
    if not beta > 0:
        raise ValueError(f"beta: want a number above 0, got {beta}")
    return Score(
        name=name,
        definition=definition if beta == 1 else f"{definition}; beta={beta:g}",
        sums=np.stack([tp, n_pred, n_true], axis=1).astype(np.float64),
        columns=("tp", "n_pred", "n_true"),
        formula=lambda s: f_beta(s[..., 0], s[..., 1], s[..., 2], beta=beta),
        parts={
            "precision": lambda s: ratio(s[..., 0], s[..., 1]),
            "recall": lambda s: ratio(s[..., 0], s[..., 2]),
        },
    )


def mean(
    name: str,
    definition: str,
    total: FloatArray,
    count: FloatArray,
    *,
    unit: str,
    higher_is_better: bool = True,
    best: float = 1.0,
) -> Score:
    """Makes a mean from (n,) totals and (n,) numbers of items."""
    return Score(
        name=name,
        definition=definition,
        sums=np.stack([total, count], axis=1).astype(np.float64),
        columns=("total", f"n_{unit}"),
        formula=lambda s: ratio(s[..., 0], s[..., 1]),
        higher_is_better=higher_is_better,
        best=best,
    )
