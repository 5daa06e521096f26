"""How often a span with this score is right, learnt where the truth is known."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

EDGE = 1e-6


class Confidence(BaseModel):
    """Platt's logistic curve from a span's score to the probability that it finds a true span.

    confidence = 1 / (1 + exp(-(slope * log-odds of the score + intercept))).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["platt"] = "platt"
    event: Literal["iou>=0.5"] = "iou>=0.5"
    """The span and a true one share half of the bars that either has."""
    slope: float
    intercept: float
    spans: Annotated[int, Field(ge=1)]
    """Spans that it was fitted on."""
    right: Annotated[int, Field(ge=0)]

    def __call__(self, score: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Returns f4 (m,) in 0..1 for scores (m,) in 0..1."""
        return _logistic(self.slope * _log_odds(score) + self.intercept).astype(np.float32)


def fit_confidence(score: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> Confidence | None:
    """Fits the curve by the likelihood of Platt (1999), whose targets are (R+1)/(R+2) and 1/(W+2).

    The slope has a normal prior of mean 1 and deviation 1: a handful of spans leaves the odds of the score
    much as they are and moves their level.

    Args:
        score: Of each span, (m,) in 0..1.
        right: Whether it finds a true span.

    Returns:
        The curve; None without a span.

    >>> fitted = fit_confidence(np.full(8, 0.9), np.array([True, False] * 4))
    >>> round(float(fitted(np.array([0.9]))[0]), 2)
    0.5
    """
    if not len(score):
        return None
    hits = int(right.sum())
    wanted = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    x = np.stack([_log_odds(score), np.ones(len(score))], axis=1)
    prior = np.array([1.0, 1e-6])
    mean = np.array([1.0, 0.0])

    def loss(w: npt.NDArray[np.float64]) -> float:
        z = x @ w
        return float((np.logaddexp(0, z) - wanted * z).sum() + (prior * (w - mean) ** 2).sum() / 2)

    at = mean.copy()
    for _ in range(100):
        p = _logistic(x @ at)
        slope = x.T @ (p - wanted) + prior * (at - mean)
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + np.diag(prior), slope)
        size = 1.0
        while size > 1e-10 and loss(at - size * step) > loss(at):
            size /= 2
        at = at - size * step
        if np.abs(size * step).max() < 1e-10:
            break
    return Confidence(slope=float(at[0]), intercept=float(at[1]), spans=len(score), right=hits)


def _log_odds(score: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    p = np.clip(np.asarray(score, np.float64), EDGE, 1 - EDGE)
    odds: npt.NDArray[np.float64] = np.log(p) - np.log1p(-p)
    return odds


def _logistic(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    probability: npt.NDArray[np.float64] = np.exp(-np.logaddexp(0, -z))
    return probability
