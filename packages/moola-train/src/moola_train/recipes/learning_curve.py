"""What more labels are worth: the score against the number of labels, and how far it can be continued.

The curve is a - b n^-c, which scores of many learners follow (Hestness et al. 2017; Viering and Loog 2023).
For a given c it is a straight line in n^-c, so its posterior under a flat prior is known exactly; c is
weighed over a grid. What the interval does not know is whether the curve goes on as it went.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
EXPONENTS = np.linspace(0.1, 1.5, 15)
"""Every one of them as likely before anything is measured."""
DRAWS = 4000
FEWEST, SIZES = 5, 3
"""Scores and different numbers of labels, without which nothing is said."""


class Worth(NamedTuple):
    """What some more labels are worth, at 95 %."""

    now: float
    """Score that the curve has with all labels."""
    gain: float
    """Median of what is gained; NaN where too little was measured."""
    low: float
    high: float
    known: bool
    """Whether the interval lies above 0: whether the scores tell at all that labels help."""
    why: str
    """In words, for a reader."""


def worth_of_more(windows: Float, score: Float, *, have: float, more: float, seed: int = 0) -> Worth:
    """Continues a learning curve.

    Args:
        windows: Labelled windows that a network was trained on, above 0, (m,).
        score: What it scored, (m,); NaN where it is undefined.
        have: Windows that are labelled.
        more: Windows that are to be labelled besides.
        seed: Of the draws.

    Returns:
        The gain from `have` to `have` + `more`, with its interval.

    Raises:
        ValueError: A number of windows is not above 0, or the shapes differ.

    >>> n = np.repeat([50.0, 100, 200, 400], 3)
    >>> noise = np.tile([0.01, 0.0, -0.01], 4)
    >>> found = worth_of_more(n, 0.8 - 2 * n**-0.5 + noise, have=400, more=400)
    >>> found.known, bool(found.low < 2 * (400**-0.5 - 800**-0.5) < found.high)
    (True, True)
    """
    if windows.shape != score.shape or windows.ndim != 1:
        raise ValueError(f"score: want one a number of windows, {windows.shape}, got {score.shape}")
    if not (windows > 0).all() or not have > 0 or not more > 0:
        raise ValueError(f"windows: want numbers above 0, got {windows.tolist()}, {have} and {more}")
    defined = np.isfinite(score)
    n, y = windows[defined], score[defined]
    if len(y) < FEWEST or len(np.unique(n)) < SIZES:
        why = (
            f"too little was measured: {len(y)} scores at {len(np.unique(n))} numbers of labels, "
            f"want {FEWEST} at {SIZES} or more"
        )
        return Worth(float("nan"), float("nan"), float("nan"), float("nan"), False, why)
    now, gain = _draws(n, y, have, have + more, np.random.default_rng(seed))
    low, middle, high = np.quantile(gain, [0.025, 0.5, 0.975])
    known = bool(low > 0)
    words = [f"{round(float(number), 3) + 0.0:+.3f}" for number in (middle, low, high)]  # + 0.0: no -0.000
    said = f"{words[0]} (95 % interval {words[1]} to {words[2]})"
    why = said if known else f"not known: {said} holds 0, so these scores do not tell whether labels help"
    return Worth(float(np.median(now)), float(middle), float(low), float(high), known, why)


def _draws(n: Float, y: Float, have: float, then: float, chance: np.random.Generator) -> tuple[Float, Float]:
    """Scores now and gains, drawn from the posterior."""
    m = len(y)
    fits = []
    for c in EXPONENTS:
        x = np.stack([np.ones(m), -((n / have) ** -c)], 1)
        root = np.linalg.inv(np.linalg.cholesky(x.T @ x)).T
        best = root @ root.T @ x.T @ y
        rest = float(((y - x @ best) ** 2).sum()) + 1e-12
        # Integrated over a, b and the noise; b is in units of the curve's distance to its end now.
        fits.append((c, best, root, rest, np.log(np.abs(np.diag(root))).sum() - (m - 2) / 2 * np.log(rest)))
    weight = np.array([fit[-1] for fit in fits])
    weight = np.exp(weight - weight.max())
    count = chance.multinomial(DRAWS, weight / weight.sum())
    now, gain = [], []
    for (c, best, root, rest, _), times in zip(fits, count, strict=True):
        noise = np.sqrt(rest / chance.chisquare(m - 2, times))
        a, b = best[:, None] + root @ chance.standard_normal((2, times)) * noise
        now.append(a - b)
        gain.append(b * (1 - (then / have) ** -c))
    return np.concatenate(now), np.concatenate(gain)
