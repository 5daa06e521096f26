"""Reliability tables, the parts of the Brier score, equal-mass bins, and events made of spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import BoolArray, FloatArray, IntArray
from moola_eval.calibration import binned_error, events
from moola_eval.matching import Matches
from moola_eval.score import Score, ratio

Binning = Literal["width", "mass"]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What happened in each bin of probability, and the Brier score taken apart.

    brier = reliability - resolution + uncertainty + within, exactly: the last part is what probabilities
    differ by inside their bins (Stephenson et al. 2008), 0 where each bin holds one probability.

    Attributes:
        edges: (bins + 1,) float64.
        count: (bins,) float64, events in each bin.
        probability: (bins,) float64, their mean probability; NaN in an empty bin.
        frequency: (bins,) float64, share that came true; NaN in an empty bin.
        brier: Mean (p - y)^2.
        reliability: Mean squared distance of frequency and probability of a bin; 0 is best.
        resolution: Mean squared distance of a bin's frequency from the overall one; more is better.
        uncertainty: Overall frequency x (1 - overall frequency).
        within: The remainder.
        largest_error: Largest |frequency - probability| of a bin.
    """

    edges: FloatArray
    count: FloatArray
    probability: FloatArray
    frequency: FloatArray
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    largest_error: float


def reliability(
    probability: npt.NDArray[np.floating],
    true: BoolArray,
    *,
    bins: int = 15,
    binning: Binning = "width",
) -> Reliability:
    """Tabulates probability against frequency.

    Args:
        probability: (n,) or (n, K) floats in [0, 1].
        true: Same shape, bool, whether the event came true.
        bins: Number of bins.
        binning: "width" makes bins of equal width, [low, high), the last one closed; "mass" puts about
            equally many events into each, equal probabilities never apart.

    Returns:
        The table; NaN where there is nothing.
    """
    p, y = events(probability, true)
    p, y = p.reshape(-1), y.reshape(-1)
    edges, index = _bins(p, bins, binning)
    bins = len(edges) - 1
    count = np.bincount(index, minlength=bins).astype(np.float64)
    total = np.bincount(index, weights=p, minlength=bins).astype(np.float64)
    came = np.bincount(index, weights=y, minlength=bins).astype(np.float64)
    mean_p, rate = ratio(total, count), ratio(came, count)
    n, full = float(len(p)), count > 0
    if n == 0:
        nan = float("nan")
        return Reliability(edges, count, mean_p, rate, nan, nan, nan, nan, nan, nan)
    overall = float(y.mean())
    brier = float(np.mean((p - y) ** 2))
    apart = float(np.sum((count * (rate - mean_p) ** 2)[full])) / n
    sharp = float(np.sum((count * (rate - overall) ** 2)[full])) / n
    spread = overall * (1 - overall)
    return Reliability(
        edges=edges,
        count=count,
        probability=mean_p,
        frequency=rate,
        brier=brier,
        reliability=apart,
        resolution=sharp,
        uncertainty=spread,
        within=brier - (apart - sharp + spread),
        largest_error=float(np.max(np.abs(rate - mean_p)[full])),
    )


def equal_mass_error(probability: npt.NDArray[np.floating], true: BoolArray, *, bins: int = 15) -> Score:
    """ECE with bins that hold about equally many events; equal probabilities share a bin.

    The borders are fixed by all the data, so scores of batches do not add up to the score of the whole; an
    interval holds the borders fixed.

    Args:
        probability: (n,) or (n, K) floats in [0, 1].
        true: Same shape, bool.
        bins: Number of bins; ties may leave fewer.

    Returns:
        The score, lower is better.
    """
    p, y = events(probability, true)
    edges, index = _bins(p.reshape(-1), bins, "mass")
    words = f"ECE, {bins} bins of equal mass with borders {np.round(edges, 6).tolist()}"
    return binned_error("ece_mass", words, p, y, index.reshape(p.shape), bins=max(1, len(edges) - 1))


def span_events(matches: Matches) -> tuple[FloatArray, BoolArray, IntArray]:
    """Makes events of predicted spans: is a span of score 0.8 matched eight times in ten?

    Args:
        matches: Pairs, at the criterion that counts as right.

    Returns:
        Score (m,), whether the span was matched (m,), and its sequence (m,), for all predictions.

    Raises:
        ValueError: The predictions have no scores.
    """
    if matches.pred.score is None:
        raise ValueError("matches.pred: want spans with scores, got none")
    right = np.zeros(len(matches.pred), dtype=np.bool_)
    right[matches.pred_index] = True
    return matches.pred.score, right, matches.pred.sequence


def _bins(p: FloatArray, bins: int, binning: Binning) -> tuple[FloatArray, IntArray]:
    if bins < 1:
        raise ValueError(f"bins: want 1 or more, got {bins}")
    if binning == "width" or not len(p):
        return np.linspace(0.0, 1.0, bins + 1), np.minimum((p * bins).astype(np.int64), bins - 1)
    inner = np.sort(p)[(np.arange(1, bins) * len(p)) // bins]
    inner = np.unique(inner)
    inner = inner[inner > p.min()]
    edges = np.concatenate([[p.min()], inner, [p.max()]])
    return edges, np.searchsorted(inner, p, "right").astype(np.int64)
