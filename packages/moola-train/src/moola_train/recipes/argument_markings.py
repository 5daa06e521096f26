"""Thresholds and positive weights: where the operating point lies, and what an untrained network scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from moola_data.schema import WindowSet
from moola_eval.ranking import bar_auroc
from moola_train.batches import WindowedBars
from moola_train.recipes.answers import answers_of
from moola_train.recipes.argument_labels import Drawn, Float, Numbers, marks, pooled_f1, window_f1
from moola_train.recipes.expansion import expansion_model
from moola_train.recipes.run_config import RunConfig

SHARE, WEIGHT = 0.0721, 13.1
"""Its share of marked bars in validation, and its positive weight."""
TREE_BARS = 20_000


def operating_point(drawn: Drawn, seed: int) -> Numbers:
    """Fits the bars' own features by logistic regression, with and without the positive weight.

    Returns:
        ``balanced``, the constant probability of least weighted cross-entropy; ``weighted_level``, that
        loss; ``unweighted_level``, without a weight; ``all``, F1 when all bars are marked;
        ``half_of_bars``, when half of them are, at random; ``weighted_half``, ``plain_half``, pooled F1 on
        the fresh windows at one half; ``weighted_tuned``, ``plain_tuned``, at thresholds from the inner
        windows; ``weighted_threshold`` and ``plain_threshold``, those thresholds; ``base_rate``, share of
        marked bars in the training windows; ``auroc_change``, what the weight adds to the ranking of bars.
    """
    chance = np.random.default_rng([seed, 13])
    p = np.linspace(1e-4, 1 - 1e-4, 99_999)
    weighted = -(WEIGHT * SHARE * np.log(p) + (1 - SHARE) * np.log(1 - p))
    plain = -(SHARE * np.log(p) + (1 - SHARE) * np.log(1 - p))
    numbers = {
        "balanced": float(p[weighted.argmin()]),
        "weighted_level": float(weighted.min()),
        "unweighted_level": float(plain.min()),
        "all": 2 * SHARE / (1 + SHARE),
        "half_of_bars": 2 * SHARE * 0.5 / (SHARE + 0.5),
    }
    x, y, split = _both_signs(drawn.windows), marks(drawn.windows), drawn.windows.split
    kept = chance.permutation(int((split == 0).sum()))[:150]  # enough, and it keeps the fit short
    rows = np.flatnonzero(split == 0)[kept]
    numbers["base_rate"] = float(y[rows].mean())
    rankings = []
    for name, weight in (("weighted", WEIGHT), ("plain", 1.0)):
        model = LogisticRegression(C=1.0, max_iter=300, class_weight={False: 1.0, True: weight})
        model.fit(x[rows].reshape(-1, x.shape[-1]), y[rows].ravel() > 0.5)
        inner, fresh = (
            model.predict_proba(x[split == k].reshape(-1, x.shape[-1]))[:, 1].reshape(y[split == k].shape)
            for k in (1, 2)
        )
        cuts = np.quantile(inner, np.linspace(0.3, 0.999, 100))
        chosen = max(cuts, key=lambda cut: pooled_f1(inner >= cut, y[split == 1]))
        numbers[f"{name}_half"] = pooled_f1(fresh >= 0.5, y[split == 2])
        numbers[f"{name}_tuned"] = pooled_f1(fresh >= chosen, y[split == 2])
        numbers[f"{name}_threshold"] = float(chosen)
        rankings.append(float(bar_auroc(fresh, y[split == 2] > 0.5).value))
    return numbers | {"auroc_change": rankings[0] - rankings[1]}


def untrained(drawn: Drawn, seed: int) -> Numbers:
    """Sweeps thresholds over a network that was never trained.

    Returns:
        ``f1_at_45``, ``f1_at_50`` and ``f1_at_55``, pooled on the inner windows; ``all``, F1 when every bar
        is marked there; ``lowest`` and ``highest`` probability.
    """
    config = RunConfig.model_validate({"model": {"seed": seed}})
    windows = drawn.windows
    found = answers_of(
        expansion_model(windows, config),
        WindowedBars(windows, device="cpu"),
        np.flatnonzero(windows.split == 1),
        config.data,
        config.decoding,
    ).probability
    mask = drawn.mask(1)
    numbers = {f"f1_at_{cut}": pooled_f1(found > cut / 100, mask) for cut in (45, 50, 55)}
    return numbers | {
        "all": pooled_f1(np.ones_like(mask, bool), mask),
        "lowest": float(found.min()),
        "highest": float(found.max()),
    }


def second_sigmoid(drawn: Drawn, seed: int) -> Numbers:
    """Puts probabilities through a sigmoid once more, as its inference did.

    Returns:
        ``lowest`` and ``highest`` of what comes out; ``marked_at_50``, share of bars at or above one half,
        of random probabilities; ``means_60`` and ``means_70``, the probability that a threshold of .6 or .7
        is.
    """
    p = np.random.default_rng([seed, 14]).random(10_000)
    twice = 1 / (1 + np.exp(-p))
    return {
        "lowest": float(twice.min()),
        "highest": float(twice.max()),
        "marked_at_50": float((twice >= 0.5).mean()),
        "means_60": float(np.log(0.6 / 0.4)),
        "means_70": float(np.log(0.7 / 0.3)),
    }


def best_of_many(drawn: Drawn, seed: int) -> Numbers:
    """Takes the best of many epochs on 42 windows, where every epoch marks half the bars at random.

    Returns:
        Mean F1 of windows: ``mean`` of all epochs; ``best_of_20`` and ``best_of_100``; ``gain``, the best
        of a hundred over their mean, as a share of it; ``z_treated_as_samples``, the distance of the best
        from the mean of another hundred in their standard errors, as if epochs were independent samples.
    """
    chance = np.random.default_rng([seed, 15])
    mask = drawn.mask(0)[chance.permutation(int((drawn.windows.split == 0).sum()))[:42]]
    # Runs of bars, as a recurrent network marks them, not single ones.
    scores, others = (
        np.array([window_f1(_runs(mask.shape, chance), mask) for _ in range(100)]) for _ in range(2)
    )
    error = others.std(ddof=1) / 10
    return {
        "mean": float(scores.mean()),
        "best_of_20": float(scores[:20].max()),
        "best_of_100": float(scores.max()),
        "gain": float(scores.max() / scores.mean() - 1),
        "z_treated_as_samples": float((scores.max() - others.mean()) / error),
    }


def tree_on_position(drawn: Drawn, seed: int) -> Numbers:
    """Grows its single tree on the bars' features and their place, and asks what it splits on.

    Returns:
        ``importance``, that of the place; ``importance_noise``, with noise for features;
        ``importance_anywhere`` and ``importance_noise_anywhere``, where windows are cut wherever they show
        an expansion.
    """
    chance = np.random.default_rng([seed, 16])
    numbers = {}
    for name, windows in (
        ("", drawn.windows),
        ("_noise", drawn.windows),
        ("_anywhere", drawn.anywhere),
        ("_noise_anywhere", drawn.anywhere),
    ):
        rows = np.flatnonzero(windows.split < 2)
        x = _gathered(windows)[rows].astype(np.float64)
        if "noise" in name:
            x = chance.standard_normal(x.shape)
        place = np.broadcast_to(np.arange(windows.length)[None, :, None], (*x.shape[:2], 1))
        flat = np.concatenate([x, place], axis=-1).reshape(-1, x.shape[-1] + 1)
        tree = DecisionTreeClassifier(
            max_depth=4, min_samples_split=20, min_samples_leaf=10, class_weight="balanced", random_state=seed
        )
        tree.fit(flat, marks(windows)[rows].ravel() > 0.5)
        numbers[f"importance{name}"] = float(tree.feature_importances_[-1])
    return numbers


def feature_signs(drawn: Drawn, seed: int) -> Numbers:
    """Correlates every feature with the marks, window by window, as its feature validation did.

    Returns:
        ``largest_correlation``, the greatest mean of a feature, by size; ``largest_out_of_step``, the same
        where every window's marks are moved round by a random number of bars; ``auroc_move``, how well the
        size of the recent move ranks the fresh windows' bars; ``nonzero_noise``, share of numbers that are
        not zero where features are noise; ``copy_error``, mean error of a linear copy of unhidden features.
    """
    rows = np.flatnonzero(drawn.windows.split == 0)
    x = _gathered(drawn.windows)[rows].astype(np.float64)
    y = marks(drawn.windows)[rows]
    chance = np.random.default_rng([seed, 17])
    moved = np.stack([np.roll(row, chance.integers(len(row))) for row in y])
    flat = x.reshape(-1, x.shape[-1])
    copied = flat @ np.linalg.lstsq(flat, flat, rcond=None)[0]
    fresh = np.flatnonzero(drawn.windows.split == 2)
    return {
        "largest_correlation": _largest_correlation(x, y),
        "largest_out_of_step": _largest_correlation(x, moved),
        "auroc_move": float(
            bar_auroc(_move(drawn.windows)[fresh], marks(drawn.windows)[fresh] > 0.5).value,
        ),
        "nonzero_noise": float((chance.standard_normal(1000) != 0).mean()),
        "copy_error": float(np.abs(copied - flat).mean()),
    }


def _largest_correlation(x: Float, y: Float) -> float:
    """Greatest size among the features' mean Pearson correlations with marks, window by window."""
    off, bars = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.square(off).sum(axis=1)) * np.sqrt(np.square(bars).sum(axis=1))[:, None]
    with np.errstate(invalid="ignore"):  # a feature that stands still in a window has no correlation there
        each = np.einsum("nkf,nk->nf", off, bars) / scale
    return float(np.abs(np.nanmean(each, axis=0)).max())


def _gathered(windows: WindowSet) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = windows.features[windows.starts[:, None] + np.arange(windows.length)]
    return found


def _move(windows: WindowSet) -> Float:
    """Sum of the signed bodies of five bars, by size: a move without its direction."""
    body = windows.features[:, list(windows.feature_names).index("body_pct")].astype(np.float64)
    total = np.convolve(body, np.ones(5), mode="full")[: len(body)]
    sizes = np.abs(total)[windows.starts[:, None] + np.arange(windows.length)]
    moves: Float = sizes / (1 + sizes)
    return moves


def _both_signs(windows: WindowSet) -> Float:
    """Features, their sizes, and the size of the recent move: expansions go up and down."""
    x = _gathered(windows).astype(np.float64)
    return np.concatenate([x, np.abs(x), _move(windows)[..., None]], axis=-1)


def _runs(shape: tuple[int, ...], chance: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Marks about half the bars of every window, in runs of about ten."""
    turns = chance.random(shape) < 0.1
    first = chance.integers(0, 2, (shape[0], 1))
    marked: npt.NDArray[np.bool_] = (np.cumsum(turns, axis=1) + first) % 2 == 1
    return marked
