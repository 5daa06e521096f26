"""Whether a probability of 0.7 comes true seven times in ten."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, IntArray, finite, same_shape
from moola_eval.score import Score, mean, ratio


def expected_calibration_error(
    probability: npt.NDArray[np.floating], true: npt.NDArray[np.bool_], *, bins: int = 15
) -> Score:
    """ECE of a binary event: mean over bins, by count, of |frequency of the event - mean probability|.

    Bins have equal width and are [low, high), the last one [low, 1]: bin = min(floor(p x bins), bins - 1) in
    float64. The event's frequency is compared with its probability; this is not the top-label variant.

    Args:
        probability: (n,) or (n, K) floats in [0, 1].
        true: Same shape, bool, whether the event came true.
        bins: Number of bins.

    Returns:
        The score, lower is better; its sums are the reliability table. NaN where there is nothing.

    >>> round(expected_calibration_error(np.array([0.1, 0.9]), np.array([False, True])).value, 6)
    0.1
    """
    p, y = events(probability, true)
    if bins < 1:
        raise ValueError(f"bins: want 1 or more, got {bins}")
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    return binned_error("ece", f"ECE, {bins} equal-width bins [low, high)", p, y, index, bins=bins)


def brier(probability: npt.NDArray[np.floating], true: npt.NDArray[np.bool_]) -> Score:
    """Mean squared difference between the probability and the event (0 or 1).

    >>> round(brier(np.array([0.1, 0.9]), np.array([False, True])).value, 6)
    0.01
    """
    p, y = events(probability, true)
    words = "mean (probability - event)^2"
    count = np.full(len(p), float(p.shape[1]))
    return mean(
        "brier", words, ((p - y) ** 2).sum(axis=1), count, unit="events", higher_is_better=False, best=0.0
    )


def events(
    probability: npt.NDArray[np.floating], true: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Returns probabilities and events as (n, K) float64."""
    p = np.asarray(probability)
    if p.ndim not in (1, 2):
        raise ValueError(f"probability: want shape (n,) or (n, K), got {p.shape}")
    same_shape("true", true, p.shape)
    if true.dtype != np.bool_:
        raise ValueError(f"true: want bool, got {true.dtype}")
    finite("probability", p, low=0.0, high=1.0)
    if p.ndim == 1:
        p, true = p[:, None], true[:, None]
    return p.astype(np.float64), true.astype(np.float64)


def binned_error(
    name: str, definition: str, p: FloatArray, y: FloatArray, index: IntArray, *, bins: int
) -> Score:
    """Makes an ECE from (n, K) probabilities and events and the bin of each; a bin of -1 drops the event."""
    n = len(p)
    kept = index >= 0
    cell = (np.arange(n)[:, None] * bins + index)[kept]
    sums = np.concatenate(
        [
            np.bincount(cell, weights=weight, minlength=n * bins).reshape(n, bins)
            for weight in (np.ones(len(cell)), p[kept], y[kept])
        ],
        axis=1,
    )

    def formula(s: FloatArray) -> FloatArray:
        count, total, hit = s[..., :bins], s[..., bins : 2 * bins], s[..., 2 * bins :]
        return ratio(np.abs(hit - total).sum(axis=-1), count.sum(axis=-1))

    columns = tuple(f"{word}_bin{b}" for word in ("n", "p", "y") for b in range(bins))
    return Score(name, definition, sums, columns, formula, higher_is_better=False, best=0.0)


def log_loss(
    probability: npt.NDArray[np.floating], true: npt.NDArray[np.bool_], *, clip: float = 1e-7
) -> Score:
    """Mean negative log-likelihood of the event in nats; probabilities are cut to clip..1 - clip.

    >>> round(log_loss(np.array([0.5]), np.array([True])).value, 4)
    0.6931
    """
    p, y = events(probability, true)
    if not 0 < clip < 0.5:
        raise ValueError(f"clip: want a number between 0 and 0.5, got {clip}")
    p = np.clip(p, clip, 1 - clip)
    loss = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=1)
    words = f"mean -log(probability of what happened), cut to {clip:g}..1 - {clip:g}"
    count = np.full(len(p), float(p.shape[1]))
    return mean("log_loss", words, loss, count, unit="events", higher_is_better=False, best=0.0)
