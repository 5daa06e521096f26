"""Variance over training seeds kept apart from variance over data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from moola_eval.bootstrap import interval_of, numbered, resampled
from moola_eval.schema import SeedSpread
from moola_eval.score import Score


def seed_spread(
    scores: Sequence[Score],
    *,
    groups: npt.ArrayLike,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
) -> SeedSpread:
    """Describes one recipe trained with several seeds and scored on the same windows.

    Two questions have two answers. How much does another seed change? The standard deviation of the values.
    How much would other windows change the recipe's mean? The bootstrap over groups of the mean of all seeds.
    More seeds shrink the first's share of the mean's error, not the second.

    Args:
        scores: One score a seed, by the same definition, at least two.
        groups: (n,) whole numbers, cluster of each sequence.
        seed: Seed of the bootstrap.
        level: Coverage of the interval.
        resamples: Number of resamples.

    Returns:
        Mean, both spreads, and the interval of the mean over data.

    Raises:
        ValueError: Fewer than two seeds, or scores of different definitions.
    """
    if len(scores) < 2:
        raise ValueError(f"scores: want at least 2 seeds, got {len(scores)}")
    for i, score in enumerate(scores):
        if (score.definition, score.n_sequences) != (scores[0].definition, scores[0].n_sequences):
            raise ValueError(
                f"scores: want {scores[0].definition!r} throughout, got {score.definition!r} in row {i}"
            )
    index, g = numbered(groups, scores[0].n_sequences)
    values = np.array([score.value for score in scores])
    drawn = np.mean(resampled(list(scores), index, g, seed=seed, resamples=resamples), axis=0)
    defined = drawn[~np.isnan(drawn)]
    return SeedSpread(
        metric=scores[0].name,
        definition=scores[0].definition,
        mean=float(values.mean()),
        values=tuple(values.tolist()),
        over_seeds=float(values.std(ddof=1)),
        over_data=float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"),
        interval=interval_of(drawn, float(values.mean()), clusters=g, level=level),
    )
