"""What the blocks at hand can show, and how many a wanted interval needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from moola_eval.bootstrap import numbered, resampled
from moola_eval.score import Score


@dataclass(frozen=True, slots=True)
class Power:
    """What a number of clusters can show.

    Attributes:
        clusters: Number of clusters.
        standard_error: Of the score, or of the difference of two; bootstrap over clusters.
        smallest_difference: True difference that would be found with the wanted chance.
        half_width: Half the width of the interval.
        level: 1 - the chance of a false finding, and the interval's coverage.
        power: Chance of finding the smallest difference.
    """

    clusters: int
    standard_error: float
    smallest_difference: float
    half_width: float
    level: float
    power: float

    def clusters_for(self, half_width: float) -> int:
        """Number of clusters like these that an interval of the wanted half width needs.

        >>> Power(40, 0.05, 0.14, 0.098, 0.95, 0.8).clusters_for(0.049)
        160
        """
        if not half_width > 0:
            raise ValueError(f"half_width: want a number above 0, got {half_width}")
        return math.ceil(self.clusters * (self.half_width / half_width) ** 2 - 1e-9)


def power_of(
    score: Score,
    *,
    groups: npt.ArrayLike,
    seed: int,
    other: Score | None = None,
    level: float = 0.95,
    power: float = 0.8,
    resamples: int = 2000,
) -> Power:
    """Says what can be shown with these clusters: (z_(1+level)/2 + z_power) standard errors.

    Args:
        score: Score of a model.
        groups: (n,) whole numbers, cluster of each sequence.
        seed: Seed of the bootstrap.
        other: Score of another model on the same sequences: then the difference of the two is meant, whose
            error is smaller because both see the same windows.
        level: 1 - chance of a false finding (two-sided).
        power: Wanted chance of a true finding.
        resamples: Resamples of the standard error.

    Returns:
        The smallest difference and the interval's half width; by the normal approximation.

    Raises:
        ValueError: Fewer than two clusters, or level or power outside (0, 1).
    """
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name}: want a number between 0 and 1, got {value}")
    index, g = numbered(groups, score.n_sequences)
    scores = [score] if other is None else [score, other]
    drawn = resampled(scores, index, g, seed=seed, resamples=resamples)
    values = drawn[0] if other is None else drawn[0] - drawn[1]
    error = float(np.nanstd(values, ddof=1)) if np.isfinite(values).sum() > 1 else math.nan
    z = float(ndtri((1 + level) / 2))
    return Power(g, error, (z + float(ndtri(power))) * error, z * error, level, power)
