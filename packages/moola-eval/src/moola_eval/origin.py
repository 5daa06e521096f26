"""The metrics of the first Moola project under names of their own, so that its tables can be compared.

They differ from ours: a strict threshold of 0.5, a small number in every denominator, means over windows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import IntArray
from moola_eval.calibration import binned_error, events
from moola_eval.countdown import countdown_error
from moola_eval.joint import joint_success
from moola_eval.pattern_type import type_accuracy, type_macro_f1
from moola_eval.pointers import pointer_error, pointer_hit
from moola_eval.score import Score, mean
from moola_eval.separation import separation
from moola_eval.targets import Targets

TINY = 1e-10
CLIP = 20.0
BINS = 10


def origin_scores(
    targets: Targets,
    *,
    probability: npt.NDArray[np.floating] | None,
    pointers: npt.NDArray[np.floating] | None,
    countdown: npt.NDArray[np.floating] | None,
    type_probability: npt.NDArray[np.floating] | None,
) -> list[Score]:
    """Computes the first project's metrics as far as the outputs allow.

    Args:
        targets: The truth.
        probability: (n, K) per-bar probability.
        pointers: (n, 2) centre and length in bars.
        countdown: (n, K) bars to the start.
        type_probability: (n, C).

    Returns:
        ``origin_span_f1``, ``_iou``, ``_separation``; ``_hit_at_3`` (both ends), ``_hit_at_3_centre``,
        ``_pointer_centre_mae``, ``_pointer_length_mae``; ``_countdown_mae``; ``_type_accuracy``,
        ``_macro_f1``, ``_ece``; ``_joint``.
    """
    scores: list[Score] = []
    if probability is not None:
        scores += [*_bars(targets, probability), separation(probability, targets.mask)]
    if pointers is not None:
        place = (targets.start, targets.end, pointers)
        scores += [
            pointer_hit(*place, k=3, side="both", valid=targets.has_span).named("hit_at_3"),
            pointer_hit(*place, k=3, side="centre", valid=targets.has_span).named("hit_at_3_centre"),
            pointer_error(*place, of="centre", valid=targets.has_span),
            pointer_error(*place, of="length", valid=targets.has_span),
        ]
    if countdown is not None:
        scores.append(countdown_error(targets.countdown, countdown, clip=CLIP, clip_pred=False))
    if type_probability is not None:
        pair = (targets.type, type_probability)
        scores.append(type_accuracy(*pair))
        if type_probability.shape[1] >= 2:
            scores += [type_macro_f1(*pair, classes=(0, 1)).named("macro_f1"), _ece(*pair)]
    if pointers is not None and type_probability is not None:
        scores.append(joint_success(targets, pointers, type_probability).named("joint"))
    return [score.named(f"origin_{score.name}") for score in scores]


def _bars(targets: Targets, probability: npt.NDArray[np.floating]) -> list[Score]:
    marked = probability > 0.5
    tp = (marked & targets.mask).sum(axis=1).astype(np.float64)
    n_pred, n_true = marked.sum(axis=1), targets.mask.sum(axis=1)
    precision, recall = tp / (n_pred + TINY), tp / (n_true + TINY)
    f1 = 2 * precision * recall / (precision + recall + TINY)
    iou = tp / (n_pred + n_true - tp + 1e-7)
    one = np.ones(len(tp))
    words = "mean over windows of each window's F1 of bars with probability > 0.5; empty windows count 0"
    return [
        mean("span_f1", words, f1, one, unit="windows"),
        mean("iou", words.replace("F1", "IoU"), iou, one, unit="windows"),
    ]


def _ece(true: IntArray, type_probability: npt.NDArray[np.floating]) -> Score:
    """ECE of P(type 1) in ten bins (low, high]; a probability of 0 falls into no bin."""
    p, y = events(type_probability[:, 1], true == 1)
    index: IntArray = (np.ceil(p * BINS) - 1).astype(np.int64)
    index = np.where((true >= 0)[:, None], index, -1)
    words = f"ECE of P(type 1) over typed windows, {BINS} equal-width bins (low, high], 0 in none"
    return binned_error("ece", words, p, y, index, bins=BINS)
