"""One trial without a network: the first system's proxy formulas, or trees, bar by bar."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from moola_data.five_bar_move import five_bar_move
from moola_data.proxies import GRID, proxy_terms
from moola_data.window_subset import part
from moola_data.windows import gather
from moola_eval.schema import Truth
from moola_eval.threshold import choose_threshold
from moola_train.recipes.answers import Answers
from moola_train.recipes.proxy_rules import Rules
from moola_train.recipes.study_data import SOURCES, Material, material
from moola_train.recipes.trial_numbers import reported_numbers

Float = npt.NDArray[np.float32]


def proxy_trial(
    *, source: Mapping[str, JsonValue], run: Mapping[str, JsonValue], seed: int
) -> dict[str, JsonValue]:
    """Draws data, fits the rule on the training windows, its threshold on the inner ones, and measures.

    Args:
        source: A `moola_train.recipes.study_data` source, as JSON.
        run: `Rules`, as JSON.
        seed: Seed of the data and of the trees.

    Returns:
        Numbers by name, as `moola_train.recipes.trial.trial`.
    """
    rules = Rules.model_validate(run)
    drawn = material(SOURCES.validate_python(source), rules.data, seed=seed)
    extra: dict[str, JsonValue] = {}
    if rules.method == "grid":
        values, extra = _grid(drawn)
    elif rules.method == "move":
        moves = [np.nan_to_num(five_bar_move(bars)) for bars in drawn.bars]
        values = _seen(drawn, [move / (1 + move) for move in moves])  # a score in [0, 1], in the same order
    else:
        values = _trees(drawn, rules, seed)
    windows, split = drawn.windows, drawn.windows.split
    inner = Truth.model_validate(part(windows, "inner"))
    threshold = choose_threshold(values[split == 1], inner)
    bars = choose_threshold(values[split == 1], inner, metric="bar_f1")
    found = Answers(values[split == 2], None, None, None)
    numbers = reported_numbers(drawn, found, threshold.threshold, bar_threshold=bars.threshold, seed=seed)
    return extra | {"threshold": threshold.threshold, "leaked": drawn.leaked} | numbers


def _grid(drawn: Material) -> tuple[Float, dict[str, JsonValue]]:
    """Scores by the formula with the greatest correlation with the marks of the training windows."""
    windows, split = drawn.windows, drawn.windows.split
    inside = np.asarray(windows.targets["span"], np.float64)
    terms = [proxy_terms(bars) for bars in drawn.bars]
    best, chosen = -np.inf, np.zeros(inside.shape, np.float32)
    reported = 0.0
    for formula in GRID:
        seen = _seen(drawn, [formula.score(one, undefined="zero") for one in terms])
        train = correlation(seen[split == 0], inside[split == 0])
        if train > best:
            best, chosen, reported = train, seen, correlation(seen[split == 2], inside[split == 2])
    return chosen, {"train/correlation": best, "test/correlation": reported}


def correlation(scores: npt.NDArray[np.floating], marks: npt.NDArray[np.floating]) -> float:
    """Pearson's correlation of all bars together; 0 where one of them does not vary."""
    if scores.std() == 0 or marks.std() == 0:
        return 0.0
    return float(np.corrcoef(scores.ravel(), marks.ravel())[0, 1])


def _seen(drawn: Material, scores: list[npt.NDArray[np.float64]]) -> Float:
    """Gives every window the scores of its bars."""
    column = np.concatenate(scores)[:, None].astype(np.float32)
    seen: Float = gather(column, drawn.windows.starts, length=drawn.windows.length)[..., 0]
    return seen


def _trees(drawn: Material, rules: Rules, seed: int) -> Float:
    windows, split = drawn.windows, drawn.windows.split
    inside = np.asarray(windows.targets["span"], np.float32) > 0.5
    rows = windows.starts[:, None] + np.arange(windows.length)
    columns = [windows.features[np.maximum(rows - lag, 0)] for lag in rules.lags]
    x = np.concatenate(columns, axis=-1)
    model = (
        DecisionTreeClassifier(max_depth=rules.depth, min_samples_leaf=30, random_state=seed)
        if rules.method == "tree"
        else HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
        )
    )
    train = split == 0
    model.fit(x[train].reshape(-1, x.shape[-1]), inside[train].ravel())
    probability = model.predict_proba(x.reshape(-1, x.shape[-1]))[:, 1]
    marks: Float = probability.reshape(inside.shape).astype(np.float32)
    return marks
