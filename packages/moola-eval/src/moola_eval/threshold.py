"""The threshold that scores best on given windows, found among all there are."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray, matrix
from moola_eval.bars import bar_counts
from moola_eval.decoding import PLAIN, Decoder, cut, decode
from moola_eval.detection import span_f1
from moola_eval.fingerprint import fingerprint
from moola_eval.matching import IoU, match
from moola_eval.schema import Threshold, Truth
from moola_eval.score import Score, f_beta, f_score
from moola_eval.spans import Spans
from moola_eval.targets import Targets

Tuned = Literal["span_f1", "bar_f1"]
Pick = Literal["best", "plateau"]

CHUNK_BARS = 4_000_000  # bounds the memory of the sweep: about 60 bytes a bar


def choose_threshold(
    values: npt.NDArray[np.floating],
    truth: Truth,
    *,
    metric: Tuned = "span_f1",
    iou: float = 0.5,
    decoder: Decoder = PLAIN,
    pick: Pick = "best",
) -> Threshold:
    """Finds the best threshold among all that mark different bars.

    A window's spans change only at its own values, so each window is decoded once at each of them and the
    counts are added up along the sorted values: the result is exact, not a grid's.

    Args:
        values: (n, K) probabilities, or any finite scores.
        truth: The labelled windows, not those that will be reported.
        metric: F1 of spans or of bars.
        iou: Smallest intersection over union that counts as found.
        decoder: Hysteresis, merging and minimum length of "span_f1"; "bar_f1" marks plain bars.
        pick: "best" takes the middle of the range that scores best; "plateau" the middle of the range around
            it that scores within one standard error (over groups) of the best.

    Returns:
        The threshold with its provenance.

    Raises:
        ValueError: Shapes differ, values are not finite, or there is no true span.
    """
    cuts, curve = threshold_curve(values, truth, metric=metric, iou=iou, decoder=decoder)
    targets = Targets.of(truth)
    ties = np.flatnonzero(curve == curve.max())
    best = int(ties[len(ties) // 2])
    score = _score_at(values, targets, float(cuts[best]), metric, iou, decoder)
    error = standard_error(score, truth.group)
    near = curve >= curve[best] - (0.0 if np.isnan(error) else error)
    left = best - int(np.argmin(np.append(near[best::-1], False))) + 1
    right = best + int(np.argmin(np.append(near[best:], False))) - 1
    plateau = (float(cuts[right]), float(cuts[left]))
    if pick == "best":
        chosen = _between(values.dtype, cuts, best)
    else:
        chosen = float(values.dtype.type((plateau[0] + plateau[1]) / 2))
    final = _score_at(values, targets, chosen, metric, iou, decoder)
    return Threshold(
        threshold=chosen,
        metric=metric,
        definition=final.definition,
        value=final.value,
        standard_error=error,
        plateau=plateau,
        decoder=decoder if metric == "span_f1" else PLAIN,
        n_windows=len(truth.starts),
        n_true=len(targets.spans),
        fingerprint=fingerprint(truth),
    )


def threshold_curve(
    values: npt.NDArray[np.floating],
    truth: Truth,
    *,
    metric: Tuned = "span_f1",
    iou: float = 0.5,
    decoder: Decoder = PLAIN,
) -> tuple[FloatArray, FloatArray]:
    """Scores every threshold at which anything changes.

    Args:
        values: (n, K) floats.
        truth: The labelled windows.
        metric: F1 of spans or of bars.
        iou: Smallest intersection over union that counts as found.
        decoder: Only for "span_f1".

    Returns:
        Distinct thresholds from high to low, (c,) float64, and the F1 at each.

    Raises:
        ValueError: Shapes differ, values are not finite, or there is no true span.
    """
    v = matrix("values", values)
    targets = Targets.of(truth)
    if v.shape != targets.mask.shape:
        raise ValueError(f"values: want shape {targets.mask.shape}, got {v.shape}")
    if not len(targets.spans):
        raise ValueError("truth: want at least one span to choose a threshold on, got none")
    if metric == "bar_f1":
        cut_at, tp, found = v.reshape(-1), targets.mask.reshape(-1).astype(np.int64), None
        n_true = int(tp.sum())
    else:
        cut_at, tp, found = _span_steps(v, targets.spans, iou, decoder)
        n_true = len(targets.spans)
    if not len(cut_at):
        raise ValueError(f"decoder.low: want at most the largest value {v.max()}, got {decoder.low}")
    order = np.argsort(-cut_at, kind="stable")
    cut_at = cut_at[order].astype(np.float64)
    hits = np.cumsum(tp[order])
    n_pred = np.arange(1, len(cut_at) + 1) if found is None else np.cumsum(found[order])
    last = np.append(cut_at[1:] != cut_at[:-1], True)
    curve = f_beta(hits[last].astype(np.float64), n_pred[last].astype(np.float64), np.float64(n_true))
    return cut_at[last], curve


def standard_error(score: Score, group: IntArray) -> float:
    """Standard error of a ratio of sums over groups, by linearisation; NaN with fewer than two groups.

    For F = 2 tp / d it is sqrt(g / (g - 1) * sum over groups of (2 tp_i - F d_i)^2) / d.
    """
    _, index = np.unique(group, return_inverse=True)
    g = int(index.max()) + 1 if len(index) else 0
    tp, n_pred, n_true = (np.bincount(index, weights=column, minlength=g) for column in score.sums.T)
    size = n_pred + n_true
    if g < 2 or size.sum() == 0:
        return float("nan")
    rest = 2 * tp - score.value * size
    return float(np.sqrt(g / (g - 1) * np.sum(rest**2)) / size.sum())


def _span_steps(
    v: npt.NDArray[np.floating], true: Spans, iou: float, decoder: Decoder
) -> tuple[npt.NDArray[np.floating], IntArray, IntArray]:
    """Every window's own thresholds, and by how much its true positives and spans change at each."""
    n, bars = v.shape
    rows = max(1, CHUNK_BARS // max(1, bars * bars))
    cuts: list[npt.NDArray[np.floating]] = []
    steps_tp: list[IntArray] = []
    steps_found: list[IntArray] = []
    for begin in range(0, n, rows):
        part = v[begin : begin + rows]
        levels = -np.sort(-part, axis=1)
        which = np.repeat(np.arange(begin, begin + len(part)), bars)
        guess = cut(
            np.repeat(part, bars, axis=0).reshape(-1),
            np.full(len(which), bars, dtype=np.int64),
            levels.reshape(-1).astype(np.float64),
            decoder=decoder,
        )
        pairs = match(true.take(which), guess, criterion=IoU(iou), labels="ignored")
        for steps, counts in ((steps_tp, pairs.per_sequence), (steps_found, guess.per_sequence)):
            steps.append(np.diff(counts.reshape(-1, bars), axis=1, prepend=0).reshape(-1))
        cuts.append(levels.reshape(-1))
    cut_at, tp, found = np.concatenate(cuts), np.concatenate(steps_tp), np.concatenate(steps_found)
    if decoder.low is not None:
        high = cut_at >= v.dtype.type(decoder.low)
        cut_at, tp, found = cut_at[high], tp[high], found[high]
    return cut_at, tp, found


def _between(dtype: np.dtype[np.floating], cuts: FloatArray, i: int) -> float:
    """The middle of the thresholds that mark the same bars as cuts[i], as a number of the values' dtype."""
    if i + 1 == len(cuts):
        return float(cuts[i])
    middle = float(dtype.type(cuts[i + 1] + (cuts[i] - cuts[i + 1]) / 2))
    return middle if middle > cuts[i + 1] else float(cuts[i])


def _score_at(
    values: npt.NDArray[np.floating], targets: Targets, at: float, metric: Tuned, iou: float, decoder: Decoder
) -> Score:
    if metric == "span_f1":
        return span_f1(
            targets.spans, decode(values, threshold=at, decoder=decoder), criterion=iou, labels="ignored"
        )
    marked: BoolArray = np.asarray(values >= values.dtype.type(at))
    tp, n_pred, n_true = bar_counts(targets.mask, marked)
    return f_score("bar_f1", "F1 of bars, pooled", tp=tp, n_pred=n_pred, n_true=n_true)
