"""Reported figures against each other: sums, shares and rates that a pocket calculator can check."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from moola_train.recipes.argument_labels import Drawn, Numbers

BASE_ROWS = (93, 81)
"""Retracements and consolidations of its base file."""
ALL_ROWS = (121, 89)
"""Consolidations and retracements of the file with shifted copies."""
CURVE = ((98, 0.16), (174, 0.19), (210, 0.22))
"""Number of windows and F1, as its learning curve has them."""


def classes(drawn: Drawn, seed: int) -> Numbers:
    """Accuracies of pattern types against the commoner class.

    Returns:
        ``three_models``, 19 of 35 right; ``majority``, the commoner class of the base file;
        ``less_majority``, ``frozen_less_majority`` and ``sparse_less_majority``, three accuracies less
        that; ``all_consolidation`` and ``all_consolidation_copies``, accuracy of always saying so, in the
        two files; ``chance_of_23``, how probable 23 % or less is for that on 35 rows; ``early_test``, 27 of
        35; ``early_gap_chance``, how probable 27 or more of 35 are where one is right in .475 of all cases.
    """
    majority = max(BASE_ROWS) / sum(BASE_ROWS)
    consolidations = stats.hypergeom(sum(BASE_ROWS), BASE_ROWS[1], 35)
    return {
        "three_models": 19 / 35,
        "majority": majority,
        "less_majority": 19 / 35 - majority,
        "frozen_less_majority": 0.528 - majority,
        "sparse_less_majority": 0.506 - majority,
        "all_consolidation": BASE_ROWS[1] / sum(BASE_ROWS),
        "all_consolidation_copies": ALL_ROWS[0] / sum(ALL_ROWS),
        "chance_of_23": float(consolidations.cdf(math.floor(0.23 * 35))),
        "early_test": 27 / 35,
        "early_gap_chance": float(stats.binom(35, 0.475).sf(26)),
    }


def sums(drawn: Drawn, seed: int) -> Numbers:
    """Totals, shares and falls.

    Returns:
        ``first_share/TASK``, shares of the first losses at weights 10/70/10/10; ``pretraining_loss``, the
        Gaussian loss from its Huber loss and sigma, and ``pretraining_best``, the least it could be;
        ``normaliser_fall`` and ``span_fall``, falls of a validation total and of a running mean;
        ``components_100``, sum of the normalised run's four losses at epoch 100, and ``best_total``, its
        best validation total; ``weighted_components``, sum of the four losses told beside a total of 2.144;
        ``f1_of_means``, from the mean precision and recall of the weighted run; ``masked_share``, 90 of
        105.
    """
    first = [0.1 * 1.22, 0.7 * 0.015, 0.1 * 0.84, 0.1 * 0.72]
    names = ("type", "pointers", "span", "countdown")
    return {f"first_share/{name}": part / sum(first) for name, part in zip(names, first, strict=True)} | {
        "pretraining_loss": 9.1e-5 / (2 * 0.0269**2) + math.log(0.0269),
        "pretraining_best": 0.5 + 0.5 * math.log(9.1e-5),
        "normaliser_fall": 1 - 17.50 / 17.93,
        "span_fall": 1 - 0.262 / 0.421,
        "countdown_fall": 1 - 15.926 / 15.994,
        "components_100": 0.20 + 0.03 + 0.22 + 0.05,
        "best_total": 1.0281,
        "weighted_components": 0.474 + 0.192 + 2.144 + 1.347,
        "f1_of_means": 2 * 0.1225 * 0.4796 / (0.1225 + 0.4796),
        "masked_share": 90 / 105,
    }


def comparisons(drawn: Drawn, seed: int) -> Numbers:
    """Comparisons that its conclusions rest on.

    Returns:
        ``position_gain``, .2196 over .1869 less 1; ``d_of_z``, the effect size that z = 31.79 over 100
        samples would be; ``jitter_change`` and ``jitter_change_same_epoch``, .1539 against the baseline's
        epoch 100 and against its epoch 20; ``soft_fall`` and ``crf_fall``, falls of two validation totals
        over 50 epochs; ``scale``, one first total over the other; ``crf_fall_over_scale``, the second fall
        over that; ``fall_after_rescaling``, the fall of the second total after each of its values is
        divided by that; ``crf_fall_without_countdown``, with the countdown's 16.1 and 13.5 left out.
    """
    soft, crf = np.array([17.69, 13.52]), np.array([66.94, 38.78])
    scale = float(crf[0] / soft[0])
    without = crf - [16.1, 12.9]
    return {
        "position_gain": 0.2196 / 0.1869 - 1,
        "d_of_z": 31.79 / math.sqrt(100),
        "jitter_change": 0.1539 / 0.1869 - 1,
        "jitter_change_same_epoch": 0.1539 / 0.156 - 1,
        "soft_fall": _fall(soft),
        "crf_fall": _fall(crf),
        "scale": scale,
        "crf_fall_over_scale": _fall(crf) / 3.8,
        "fall_after_rescaling": _fall(crf / scale),
        "crf_fall_without_countdown": _fall(without),
    }


def learning_curve(drawn: Drawn, seed: int) -> Numbers:
    """The fitted curve .098 log n + .05 and its points.

    Returns:
        ``miss_natural`` and ``miss_ten``, its largest distance from a point, by either logarithm; ``slope``
        and ``at_420``, the least-squares line through the points in the natural logarithm, and what it says
        of 420 windows; ``half_interval_420``, half its 95 % interval for one result there.
    """
    n, f1 = (np.array(column, float) for column in zip(*CURVE, strict=True))
    natural = np.abs(0.098 * np.log(n) + 0.05 - f1).max()
    ten = np.abs(0.098 * np.log10(n) + 0.05 - f1).max()
    x = np.log(n)
    slope, level = np.polyfit(x, f1, 1)
    left = np.square(f1 - slope * x - level).sum() / (len(n) - 2)
    reach = 1 + 1 / len(n) + (math.log(420) - x.mean()) ** 2 / np.square(x - x.mean()).sum()
    half = stats.t.ppf(0.975, len(n) - 2) * math.sqrt(left * reach)
    return {
        "miss_natural": float(natural),
        "miss_ten": float(ten),
        "slope": float(slope),
        "at_420": float(slope * math.log(420) + level),
        "half_interval_420": float(half),
    }


def _fall(series: np.ndarray) -> float:
    return float(1 - series[-1] / series[0])
