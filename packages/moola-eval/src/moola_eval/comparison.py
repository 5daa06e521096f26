"""Whether one model is better than another on the same windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, IntArray
from moola_eval.bootstrap import interval_of, numbered, resampled
from moola_eval.schema import Comparison
from moola_eval.score import Score

CHUNK_SWAPS = 4_000_000


def compare(
    a: Score,
    b: Score,
    *,
    groups: npt.ArrayLike,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
    permutations: int = 10_000,
) -> Comparison:
    """Compares two models by one metric on the same sequences.

    The p-value comes from exchanging the two models within randomly chosen groups: all 2^G exchanges where
    there are no more than `permutations`, else random ones with p = (1 + as extreme) / (1 + drawn). The
    interval of the difference resamples groups, the same for both models.

    Args:
        a: Score of one model.
        b: Score of the other, by the same definition.
        groups: (n,) whole numbers, cluster of each sequence.
        seed: Seed of exchanges and resamples.
        level: Coverage of the interval.
        resamples: Resamples of the interval.
        permutations: Exchanges drawn.

    Returns:
        The difference a - b with interval and two-sided p-value.

    Raises:
        ValueError: The definitions or sizes differ, or there are fewer than two groups.
    """
    if (a.definition, a.columns, a.sums.shape) != (b.definition, b.columns, b.sums.shape):
        raise ValueError(
            f"b: want a score of {a.definition!r} on {len(a.sums)} sequences, got {b.definition!r}"
        )
    index, g = numbered(groups, a.n_sequences)
    first, second = resampled([a, b], index, g, seed=seed, resamples=resamples)
    delta = a.value - b.value
    rng = np.random.default_rng([seed, 1])
    p, drawn = _exchange(a, b, index, g, delta, permutations, rng)
    return Comparison(
        metric=a.name,
        definition=a.definition,
        a=a.value,
        b=b.value,
        delta=delta,
        interval=interval_of(first - second, delta, clusters=g, level=level),
        p_value=p,
        permutations=drawn,
        exact=drawn == 2**g if g < 63 else False,
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusts p-values of several comparisons to bound the chance of any false finding (Holm 1979).

    Args:
        p_values: By name; NaN stays NaN and does not count.

    Returns:
        Adjusted p-values by the same names.

    >>> holm({"x": 0.01, "y": 0.04, "z": 0.03})
    {'x': 0.03, 'y': 0.06, 'z': 0.06}
    """
    known = sorted((p, name) for name, p in p_values.items() if not np.isnan(p))
    for p, name in known:
        if not 0 <= p <= 1:
            raise ValueError(f"p_values: want numbers in [0, 1], got {p} for {name!r}")
    adjusted, floor = dict.fromkeys(p_values, float("nan")), 0.0
    for i, (p, name) in enumerate(known):
        floor = max(floor, min(1.0, p * (len(known) - i)))
        adjusted[name] = floor
    return adjusted


def _exchange(
    a: Score, b: Score, index: IntArray, g: int, delta: float, permutations: int, rng: np.random.Generator
) -> tuple[float, int]:
    """Two-sided p-value and the number of exchanges it rests on."""
    if permutations < 1:
        raise ValueError(f"permutations: want 1 or more, got {permutations}")
    exact = g < 31 and 2**g <= permutations
    total = 2**g if exact else permutations
    value_a, value_b = _swapped(a, b, index, g)
    # Values that differ by rounding only are equally extreme.
    bound = abs(delta) * (1 - 1e-9) - 1e-12
    extreme = 0
    step = max(1, CHUNK_SWAPS // g)
    for begin in range(0, total, step):
        rows = min(step, total - begin)
        if exact:
            swap = (np.arange(begin, begin + rows)[:, None] >> np.arange(g)) & 1
        else:
            swap = rng.integers(0, 2, size=(rows, g))
        mixed = np.abs(value_a(swap) - value_b(swap))
        # An exchange that leaves the metric undefined says nothing against chance.
        extreme += int(np.count_nonzero(~(mixed < bound)))
    if np.isnan(delta):
        return float("nan"), total
    return (extreme / total if exact else (1 + extreme) / (1 + total)), total


def _swapped(a: Score, b: Score, index: IntArray, g: int) -> Sequence[_Values]:
    first, second = (_by_group(s, index, g) for s in (a, b))
    return (
        _Values(a, first.sum(axis=0), second - first),
        _Values(b, second.sum(axis=0), first - second),
    )


def _by_group(score: Score, index: IntArray, g: int) -> FloatArray:
    columns = [np.bincount(index, weights=column, minlength=g) for column in score.sums.T]
    return np.stack(columns, axis=1).astype(np.float64)


class _Values:
    """Values of a score after exchanging groups (rows of 0 and 1)."""

    def __init__(self, score: Score, total: FloatArray, change: FloatArray) -> None:
        self.score, self.total, self.change = score, total, change

    def __call__(self, swap: npt.NDArray[np.integer]) -> FloatArray:
        return self.score.formula(self.total + swap.astype(np.float64) @ self.change)
