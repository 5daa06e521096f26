"""What a group of features is worth to a model: the drop of span F1 when they come from other windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from moola_eval._arguments import FloatArray, IntArray, finite
from moola_eval.bootstrap import draw_weights, interval_of, numbered
from moola_eval.comparison import holm
from moola_eval.detection import span_f1
from moola_eval.schema import Interval, Number, Result, Truth
from moola_eval.score import Score
from moola_eval.spans import Spans
from moola_eval.targets import Targets

Values = npt.NDArray[np.float32]
Predict = Callable[[Values], Spans]
DEFINITION = (
    "Drop = span F1 as it is, minus the mean span F1 when the group's features of every window are those of "
    "another window, their order in time kept and all other features left alone. Interval: blocks resampled, "
    "the same for both. Chance: for every block a coin decides which of its two predictions counts as the "
    "one with the features in place; that is how large a drop is if they serve the model no better than "
    "another window's. p: share of such drops at least as large, adjusted over the groups (Holm)."
)


class GroupImportance(Result):
    """What one group of features is worth to a model."""

    group: str
    columns: tuple[int, ...]
    """Of the features."""
    drop: Number
    """Mean over the repeats, in units of span F1."""
    interval: Interval
    null: tuple[Number, Number]
    """Between these two the drop lies by chance, with the interval's level."""
    p_value: Number
    p_adjusted: Number
    shuffled: tuple[Number, ...]
    """Span F1 of every repeat."""


class Importance(Result):
    """What all groups of features are worth to a model, on one set of windows."""

    schema_version: int = 1
    score: Number
    """Span F1 with all features in place."""
    definition: str = DEFINITION
    windows: int
    blocks: int
    seed: int
    repeats: int
    groups: tuple[GroupImportance, ...]
    """The greatest drop first."""


def group_importance(
    predict: Predict,
    values: Values,
    truth: Truth,
    *,
    groups: Mapping[str, Sequence[int]],
    seed: int,
    repeats: int = 10,
    resamples: int = 2000,
    permutations: int = 2000,
    level: float = 0.95,
) -> Importance:
    """Measures the drop of span F1 when groups of features are taken from other windows.

    Features that tell the same have to be shuffled together, or each seems worthless because the other is
    still there: see `correlated_groups`. What it measures is what this model makes of its features, not what
    another model could.

    Args:
        predict: From features f4 (n, K, F) of the windows to decided spans; called 1 + groups x repeats
            times.
        values: The features in place.
        truth: The same windows, labelled; at least two.
        groups: Columns of the features by name.
        seed: Of shuffles, resamples and coins.
        repeats: Shuffles a group.
        resamples: Of the interval.
        permutations: Tosses of coins.
        level: Of interval and chance.

    Returns:
        The groups, with `DEFINITION` in words.

    Raises:
        ValueError: The shapes do not fit, there are fewer than two windows or blocks or no true
            span, or a group is empty or
            names a column that is not there or twice.
    """
    _check(values, truth, groups, repeats, permutations)
    true = Targets.of(truth).spans
    index, blocks = numbered(truth.group, len(truth.starts))
    scored = _Scored(true, index, blocks)
    whole = scored(predict(values))
    found = []
    for number, (name, columns) in enumerate(groups.items()):
        rng = np.random.default_rng([seed, number])
        shuffled = [scored(predict(moved)) for moved in _shuffles(values, list(columns), repeats, rng)]
        drawn = [
            _drop(whole, shuffled, weight) for weight in draw_weights(blocks, seed=seed, resamples=resamples)
        ]
        drop = float(_drop(whole, shuffled, np.ones((1, blocks)))[0])
        by_chance = _exchanged(whole, shuffled, rng.integers(0, 2, (permutations, blocks)))
        tails = np.nanquantile(by_chance, [(1 - level) / 2, (1 + level) / 2])
        # Values that differ by rounding only are equally large.
        larger = int(np.count_nonzero(~(by_chance < drop - 1e-12)))
        found.append(
            GroupImportance(
                group=name,
                columns=tuple(columns),
                drop=drop,
                interval=interval_of(np.concatenate(drawn), drop, clusters=blocks, level=level),
                null=(float(tails[0]), float(tails[1])),
                p_value=(1 + larger) / (1 + permutations),
                p_adjusted=np.nan,
                shuffled=tuple(score.value for score in shuffled),
            )
        )
    adjusted = holm({one.group: one.p_value for one in found})
    listed = [one.model_copy(update={"p_adjusted": adjusted[one.group]}) for one in found]
    return Importance(
        score=whole.value,
        windows=len(truth.starts),
        blocks=blocks,
        seed=seed,
        repeats=repeats,
        groups=tuple(sorted(listed, key=lambda one: -one.drop)),
    )


def correlated_groups(
    values: npt.NDArray[np.floating], names: Sequence[str], *, at_least: float = 0.7
) -> dict[str, tuple[int, ...]]:
    """Puts features that tell the same into one group.

    Clusters with average linkage: of two groups that are joined, the mean absolute correlation between their
    features is `at_least` or more. A feature that never changes stands alone.

    Args:
        values: One row a bar, (N, F).
        names: Of the features.
        at_least: Mean absolute correlation, above 0 and at most 1.

    Returns:
        Columns by the joined names of their features, in the order of the first column.

    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> correlated_groups(np.column_stack([x, -x[:, 0]]), ["a", "b", "minus a"])
    {'a + minus a': (0, 2), 'b': (1,)}
    """
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"values: want shape (N, {len(names)}), got {values.shape}")
    if not 0 < at_least <= 1:
        raise ValueError(f"at_least: want a number in (0, 1], got {at_least}")
    finite("values", values)
    if len(names) < 2:
        return {name: (i,) for i, name in enumerate(names)}
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    norm = np.sqrt((centred**2).sum(axis=0))
    scaled = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
    distance = 1 - np.clip(np.abs(scaled.T @ scaled), 0, 1)
    np.fill_diagonal(distance, 0)
    labels = fcluster(
        linkage(squareform(distance, checks=False), "average"), 1 - at_least + 1e-12, criterion="distance"
    )
    members = {label: tuple(int(i) for i in np.flatnonzero(labels == label)) for label in labels.tolist()}
    return {" + ".join(names[i] for i in columns): columns for columns in members.values()}


class _Scored:
    """Span F1 as sums by block."""

    def __init__(self, true: Spans, index: IntArray, blocks: int) -> None:
        self.true, self.index, self.blocks = true, index, blocks

    def __call__(self, spans: Spans) -> _Sums:
        return _Sums(span_f1(self.true, spans, criterion=0.5, labels="ignored"), self.index, self.blocks)


class _Sums:
    def __init__(self, score: Score, index: IntArray, blocks: int) -> None:
        columns = [np.bincount(index, weights=column, minlength=blocks) for column in score.sums.T]
        self.value, self.formula = score.value, score.formula
        self.table: FloatArray = np.stack(columns, axis=1).astype(np.float64)


def _drop(whole: _Sums, shuffled: Sequence[_Sums], weight: FloatArray) -> FloatArray:
    """Drops (B,) with blocks weighted by (B, G)."""
    kept = whole.formula(weight @ whole.table)
    # Differences first: where nothing moves, their mean is 0 to the last bit.
    return np.asarray(np.mean([kept - one.formula(weight @ one.table) for one in shuffled], axis=0))


def _exchanged(whole: _Sums, shuffled: Sequence[_Sums], swap: IntArray) -> FloatArray:
    """Drops (B,) after exchanging the two predictions in the blocks where swap (B, G) is 1."""
    gains = []
    for one in shuffled:
        change = swap.astype(np.float64) @ (one.table - whole.table)
        gains.append(
            whole.formula(whole.table.sum(axis=0) + change) - one.formula(one.table.sum(axis=0) - change)
        )
    return np.asarray(np.mean(gains, axis=0))


def _shuffles(values: Values, columns: list[int], repeats: int, rng: np.random.Generator) -> Iterator[Values]:
    n = len(values)
    for _ in range(repeats):
        order = rng.permutation(n)
        other = np.empty(n, dtype=np.int64)
        # One cycle through all windows: none keeps its own features.
        other[order] = np.roll(order, 1)
        moved = values.copy()
        moved[:, :, columns] = values[other][:, :, columns]
        yield moved


def _check(
    values: Values, truth: Truth, groups: Mapping[str, Sequence[int]], repeats: int, permutations: int
) -> None:
    n, length = len(truth.starts), truth.length
    if values.ndim != 3 or values.shape[:2] != (n, length):
        raise ValueError(f"values: want shape ({n}, {length}, F), got {values.shape}")
    if n < 2:
        raise ValueError(f"values: want 2 windows or more to exchange features, got {n}")
    if not len(truth.spans.window):
        raise ValueError("truth: want at least one span, got none")
    for what, number in (("repeats", repeats), ("permutations", permutations)):
        if number < 1:
            raise ValueError(f"{what}: want 1 or more, got {number}")
    for name, columns in groups.items():
        inside = [0 <= column < values.shape[2] for column in columns]
        if not columns or not all(inside) or len(set(columns)) < len(columns):
            raise ValueError(
                f"groups: want different columns of 0..{values.shape[2] - 1} in {name!r}, got {list(columns)}"
            )
