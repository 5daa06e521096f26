"""Intervals by resampling clusters: blocks of time are drawn, for the bars of one block are not new facts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, integers
from moola_eval.bca import bca_tails
from moola_eval.schema import Interval
from moola_eval.score import Score

Bootstrap = Literal["percentile", "bca"]
FEW = 30
CHUNK_DRAWS = 4_000_000


class FewClustersWarning(UserWarning):
    """The interval rests on so few clusters that it is likely too narrow."""


def interval(
    score: Score,
    *,
    groups: npt.ArrayLike,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
    method: Bootstrap = "percentile",
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
    sums = by_group(score.sums, groups)
    if 2 <= len(sums) < FEW:
        warnings.warn(
            f"groups: want {FEW} clusters or more, got {len(sums)}: the interval is likely too narrow",
            FewClustersWarning,
            stacklevel=2,
        )
    drawn = score.formula(resample(sums, seed=seed, resamples=resamples))
    return bootstrap_interval(score, sums, drawn, level=level, method=method)


def by_group(sums: FloatArray, groups: npt.ArrayLike) -> FloatArray:
    """Adds the rows of sums (n, S) up by group, (G, S), in the order of the groups' numbers."""
    which = integers("groups", groups, size=len(sums))
    _, index = np.unique(which, return_inverse=True)
    g = int(index.max()) + 1 if len(index) else 0
    columns = [np.bincount(index, weights=column, minlength=g) for column in sums.T]
    return np.stack(columns, axis=1) if columns else np.zeros((g, 0))


def resample(sums: FloatArray, *, seed: int, resamples: int) -> FloatArray:
    """Draws clusters with replacement and adds their sums up.

    Args:
        sums: (G, S) float64, sums of each cluster; those of several scores may stand side by side.
        seed: Seed.
        resamples: Number of resamples B.

    Returns:
        (B, S) float64.

    Raises:
        ValueError: Fewer than two clusters, or no resamples.
    """
    g = len(sums)
    if g < 2:
        raise ValueError(f"groups: want at least 2 clusters for an interval, got {g}")
    if resamples < 1:
        raise ValueError(f"resamples: want 1 or more, got {resamples}")
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK_DRAWS // g)
    parts = []
    for begin in range(0, resamples, step):
        rows = min(step, resamples - begin)
        drawn = rng.integers(0, g, size=(rows, g)) + np.arange(rows)[:, None] * g
        weight = np.bincount(drawn.reshape(-1), minlength=rows * g).reshape(rows, g)
        parts.append(weight.astype(np.float64) @ sums)
    return np.concatenate(parts)


def bootstrap_interval(
    score: Score, sums: FloatArray, drawn: FloatArray, *, level: float, method: Bootstrap = "percentile"
) -> Interval:
    """Makes the interval from resampled values (B,) of the score and the clusters' sums (G, S)."""
    if not 0 < level < 1:
        raise ValueError(f"level: want a number between 0 and 1, got {level}")
    defined = drawn[~np.isnan(drawn)]
    tails: Sequence[float] = ((1 - level) / 2, (1 + level) / 2)
    if method == "bca" and len(defined):
        tails = bca_tails(score.formula, sums, defined, tails)
    low, high = np.quantile(defined, tails) if len(defined) else (np.nan, np.nan)
    return Interval(
        low=float(low),
        high=float(high),
        level=level,
        method=method,
        resamples=len(drawn),
        undefined=len(drawn) - len(defined),
        clusters=len(sums),
    )
