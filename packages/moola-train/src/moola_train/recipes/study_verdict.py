"""What a study's numbers say of a claim: intervals over seeds, and a word for the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from moola_train.recipes.study import Claim, Condition

Word = Literal["reproduced", "refuted", "true for another reason", "undecided", "no verdict"]
Trials = Mapping[str, Mapping[int, Mapping[str, float]]]
"""Numbers by variant, then seed, then name."""
EXPLAINED: tuple[Word, ...] = ("refuted", "true for another reason")
"""Verdicts that a claim's reason goes with: with the others the numbers show nothing else, or nothing yet."""
LEAST_SEEDS = 5
LEVEL = 0.95


class Mean(NamedTuple):
    """A mean over seeds with its t interval; NaN where undefined."""

    value: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        if self.seeds < 2:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Found(NamedTuple):
    """A condition and what was measured for it."""

    condition: Condition
    mean: Mean
    holds: bool
    fails: bool
    """Its interval lies wholly on the other side. Neither holds nor fails: too few seeds to say."""

    def __str__(self) -> str:
        c = self.condition
        name = f"{c.metric} of {c.of}"
        if c.over:
            name += f", over its {c.over}"
        if c.less or c.less_metric:
            name += f", less {c.less_metric or 'that'} of {c.less or c.of}"
        wanted = f"{c.want} {c.number:g}" + (f" ± {c.tolerance:g}" if c.want == "near" else "")
        return f"{name} = {self.mean} (want {wanted})"


class Verdict(NamedTuple):
    """A claim judged."""

    claim: Claim
    word: Word
    found: tuple[Found, ...]
    seeds: int


def mean_of(values: Sequence[float], *, level: float = LEVEL) -> Mean:
    """Mean and Student's t interval; the interval is NaN for fewer than two values, all if one is undefined.

    >>> mean_of([1.0, 2.0, 3.0]).value
    2.0
    """
    array = np.asarray(values, np.float64)
    if not len(array) or not np.isfinite(array).all():
        return Mean(math.nan, math.nan, math.nan, len(array))
    centre = float(array.mean())
    if len(array) < 2:
        return Mean(centre, math.nan, math.nan, len(array))
    half = float(stats.t.ppf((1 + level) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Mean(centre, centre - half, centre + half, len(array))


def measure(condition: Condition, trials: Trials) -> Found:
    """Computes a condition over the seeds that all its variants have."""
    of = trials.get(condition.of, {})
    other = of if condition.less is None else trials.get(condition.less, {})
    values = []
    for seed in sorted(of.keys() & other.keys()):
        value = of[seed].get(condition.metric, math.nan)
        if condition.over is not None:
            divisor = of[seed].get(condition.over, math.nan)
            value = value / divisor if divisor else math.nan
        if condition.less is not None or condition.less_metric is not None:
            value -= other[seed].get(condition.less_metric or condition.metric, math.nan)
        values.append(value)
    mean = mean_of(values)
    low, high = (mean.value, mean.value) if mean.seeds == 1 else (mean.low, mean.high)
    c = condition
    if c.want == "near":
        inside = c.number - c.tolerance <= low and high <= c.number + c.tolerance
        outside = high < c.number - c.tolerance or low > c.number + c.tolerance
        return Found(c, mean, inside, outside)
    if c.want == "above":
        return Found(c, mean, low > c.number, high <= c.number)
    return Found(c, mean, high < c.number, low >= c.number)


def judge(claim: Claim, trials: Trials) -> Verdict:
    """Judges a claim: all expectations hold, or one fails, or the seeds cannot tell."""
    expected = tuple(measure(condition, trials) for condition in claim.expects)
    others = tuple(measure(condition, trials) for condition in claim.unless)
    seeds = min(found.mean.seeds for found in (*expected, *others))
    word: Word
    if seeds < LEAST_SEEDS:
        word = "no verdict"
    elif any(found.fails for found in expected):
        word = "refuted"
    elif not all(found.holds for found in expected):
        word = "undecided"
    elif others and all(found.holds for found in others):
        word = "true for another reason"
    else:
        word = "reproduced"
    return Verdict(claim, word, (*expected, *others), seeds)
