"""Magnitude warping: features grow and shrink smoothly along the window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.jitter import within

Float = npt.NDArray[np.float32]


def magnitude_warp(
    batch: Float,
    *,
    seed: int | np.random.Generator,
    features: int | None = None,
    sigma: float = 0.2,
    knots: int = 4,
    limits: tuple[Float, Float] | None = None,
) -> Float:
    """Multiplies each feature of each window by a smooth random curve around 1.

    The curve is the natural cubic spline through `knots` values drawn from N(1, sigma), evenly spaced from
    the first bar to the last. Source: T. T. Um et al., Data augmentation of wearable sensor data (2017).

    Args:
        batch: Windows, f4 (b, K, F).
        seed: Seed, or a generator to draw on from.
        features: How many columns to warp, from the first on; all unless given. Leave the position out.
        sigma: Standard deviation of the curve at its knots.
        knots: Knots of the curve, at least 2.
        limits: Least and greatest value of each feature, f4 (F,) each, that are not to be left.

    Returns:
        The warped windows, f4, same shape.

    Raises:
        ValueError: Fewer than 2 knots, more features than columns, or `sigma` is negative or not finite.
    """
    if not 0 <= sigma < np.inf:
        raise ValueError(f"sigma: want a finite number, 0 or more, got {sigma}")
    count = batch.shape[-1] if features is None else features
    if knots < 2:
        raise ValueError(f"knots: want 2 or more, got {knots}")
    if not 0 <= count <= batch.shape[-1]:
        raise ValueError(f"features: want 0..{batch.shape[-1]} columns, got {count}")
    windows, length, _ = batch.shape
    values = 1 + sigma * np.random.default_rng(seed).standard_normal((windows, knots, count))
    curve = np.einsum("tk,bkf->btf", spline_weights(length, knots=knots), values)
    warped = batch.copy()
    warped[..., :count] *= curve.astype(np.float32)
    return within(warped, limits)


def spline_weights(length: int, *, knots: int) -> npt.NDArray[np.float64]:
    """Gives the natural cubic spline through evenly spaced knots as a linear map of the knots' values.

    Args:
        length: Points from the first knot to the last, both included.
        knots: Knots, at least 2.

    Returns:
        Weights, f8 (length, knots); rows sum to 1.
    """
    # With unit spacing, second derivatives m solve m[i-1] + 4 m[i] + m[i+1] = 6 (y[i-1] - 2 y[i] + y[i+1])
    # inside, and are 0 at both ends.
    y = np.eye(knots)
    system, bend = np.eye(knots), np.zeros((knots, knots))
    for i in range(1, knots - 1):
        system[i, i - 1 : i + 2] = 1, 4, 1
        bend[i] = 6 * (y[i - 1] - 2 * y[i] + y[i + 1])
    m = np.linalg.solve(system, bend)
    at = np.linspace(0, knots - 1, length)
    left = np.minimum(at.astype(np.int64), knots - 2)
    b = (at - left)[:, None]
    a = 1 - b
    weights: npt.NDArray[np.float64] = (
        a * y[left] + b * y[left + 1] + ((a**3 - a) * m[left] + (b**3 - b) * m[left + 1]) / 6
    )
    return weights
