"""Intervals by resampling clusters: blocks of time are drawn, for the bars of one block are not new facts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, IntArray, integers
from moola_eval.bca import bca_tails
from moola_eval.schema import Interval
from moola_eval.score import Metric

Method = Literal["percentile", "bca"]
FEW = 30
CHUNK_DRAWS = 200_000


class FewClustersWarning(UserWarning):
    """The interval rests on so few clusters that it is likely too narrow."""


def interval(
    score: Metric,
    *,
    groups: npt.ArrayLike,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
    method: Method = "percentile",
) -> Interval:
    """Bootstrap interval of a score over clusters.

    Args:
        score: The score of n sequences.
        groups: (n,) whole numbers, cluster of each sequence.
        seed: Seed of the resampling.
        level: Nominal coverage.
        resamples: Number of resamples.
        method: "percentile", or "bca" which corrects bias and skewness (Efron 1987).

    Returns:
        The interval.

    Raises:
        ValueError: Fewer than two clusters.

    Warns:
        FewClustersWarning: Fewer than 30 clusters.
    """
    index, g = numbered(groups, score.n_sequences)
    if 2 <= g < FEW:
        warnings.warn(
            f"groups: want {FEW} clusters or more, got {g}: the interval is likely too narrow",
            FewClustersWarning,
            stacklevel=2,
        )
    (drawn,) = resampled([score], index, g, seed=seed, resamples=resamples)
    left_out = None
    if method == "bca":
        left_out = score.weighted(index, g)(1.0 - np.eye(g))
    return interval_of(drawn, score.value, clusters=g, level=level, left_out=left_out)


def numbered(groups: npt.ArrayLike, n: int) -> tuple[IntArray, int]:
    """Numbers the groups of n sequences 0..G-1 in the order of their names: (n,) numbers and G."""
    which = integers("groups", groups, size=n)
    names, index = np.unique(which, return_inverse=True)
    return index, len(names)


def resampled(
    scores: Sequence[Metric], index: IntArray, groups: int, *, seed: int, resamples: int
) -> list[FloatArray]:
    """Values of several scores on the same draws of clusters, each (B,) float64."""
    functions = [score.weighted(index, groups) for score in scores]
    chunks = [
        [function(weight) for function in functions]
        for weight in draw_weights(groups, seed=seed, resamples=resamples)
    ]
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def draw_weights(groups: int, *, seed: int, resamples: int) -> Iterator[FloatArray]:
    """Draws clusters with replacement, as often as there are clusters.

    Args:
        groups: Number of clusters G.
        seed: Seed.
        resamples: Number of resamples B.

    Yields:
        How often each cluster was drawn, (b, G) float64, in chunks of B rows altogether.

    Raises:
        ValueError: Fewer than two clusters, or no resamples.
    """
    if groups < 2:
        raise ValueError(
            f"groups: want at least 2 clusters for an interval, got {groups}; 0 resamples leave intervals out"
        )
    if resamples < 1:
        raise ValueError(f"resamples: want 1 or more, got {resamples}")
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK_DRAWS // groups)
    for begin in range(0, resamples, step):
        rows = min(step, resamples - begin)
        drawn = rng.integers(0, groups, size=(rows, groups)) + np.arange(rows)[:, None] * groups
        counts = np.bincount(drawn.reshape(-1), minlength=rows * groups)
        yield counts.reshape(rows, groups).astype(np.float64)


def interval_of(
    drawn: FloatArray, value: float, *, clusters: int, level: float, left_out: FloatArray | None = None
) -> Interval:
    """Makes the interval from resampled values.

    Args:
        drawn: (B,) resampled values; NaN where undefined.
        value: The value itself.
        clusters: Number of clusters.
        level: Nominal coverage.
        left_out: (G,) values with one cluster left out: then the tails are corrected (BCa).

    Returns:
        The interval.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: want a number between 0 and 1, got {level}")
    defined = drawn[~np.isnan(drawn)]
    tails: tuple[float, ...] = ((1 - level) / 2, (1 + level) / 2)
    if left_out is not None and len(defined):
        tails = bca_tails(value, left_out, defined, tails)
    low, high = np.quantile(defined, tails) if len(defined) else (np.nan, np.nan)
    return Interval(
        low=float(low),
        high=float(high),
        level=level,
        method="percentile" if left_out is None else "bca",
        resamples=len(drawn),
        undefined=len(drawn) - len(defined),
        clusters=clusters,
    )
