"""Small random changes of gathered windows, feature by feature on the feature's own scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.features import FeatureSet, feature_set
from moola_data.schema import WindowSet

Float = npt.NDArray[np.float32]


def feature_scale(window_set: WindowSet) -> Float:
    """Measures each feature's standard deviation over the bars of the training windows, each bar once.

    Args:
        window_set: Windows, some of them for training.

    Returns:
        Scales, f4 (F,); 0 for a feature that does not change.

    Raises:
        ValueError: There is no training window.
    """
    starts = window_set.starts[window_set.split == 0]
    if not len(starts):
        raise ValueError("window_set: want at least 1 training window, got 0")
    step = np.zeros(len(window_set.features) + 1, np.int64)
    np.add.at(step, starts, 1)
    np.add.at(step, starts + window_set.length, -1)
    used = window_set.features[np.cumsum(step[:-1]) > 0]
    scale: Float = used.std(axis=0, dtype=np.float64).astype(np.float32)
    return scale


def feature_range(names: tuple[str, ...], *, features: str | FeatureSet) -> tuple[Float, Float]:
    """Gives the declared range of each column.

    Args:
        names: Names of the columns.
        features: The set they are of, or its name.

    Returns:
        Least and greatest values, f4 (F,) each.

    Raises:
        ValueError: A column is none of the set's.
    """
    chosen = feature_set(features) if isinstance(features, str) else features
    known = {feature.name: (feature.low, feature.high) for feature in chosen.features}
    for name in names:
        if name not in known:
            raise ValueError(f"names: want features of {chosen.name!r}, got {name!r}")
    low, high = zip(*(known[name] for name in names), strict=True)
    return np.array(low, np.float32), np.array(high, np.float32)


def jitter(
    batch: Float,
    scale: Float,
    *,
    seed: int | np.random.Generator,
    sigma: float = 0.03,
    limits: tuple[Float, Float] | None = None,
) -> Float:
    """Adds Gaussian noise of `sigma` times each feature's scale.

    Args:
        batch: Windows, f4 (b, K, F); further columns (the position) are left alone.
        scale: Scale of each of the F features, as of `feature_scale`, f4 (F,).
        seed: Seed, or a generator to draw on from.
        sigma: Noise in scales.
        limits: Least and greatest value of each feature, f4 (F,) each, that the noise must not leave.

    Returns:
        The noisy windows, f4, same shape.

    Raises:
        ValueError: There are more scales than columns, or `sigma` or a scale is negative or not finite.
    """
    if not 0 <= sigma < np.inf:
        raise ValueError(f"sigma: want a finite number, 0 or more, got {sigma}")
    bad = np.flatnonzero(~(np.isfinite(scale) & (scale >= 0)))
    if bad.size:
        raise ValueError(f"scale: want finite numbers, 0 or more, got {scale[bad[0]]} in column {bad[0]}")
    if len(scale) > batch.shape[-1]:
        raise ValueError(f"scale: want at most {batch.shape[-1]} values, one a column, got {len(scale)}")
    noisy, features = batch.copy(), len(scale)
    noise = np.random.default_rng(seed).standard_normal((*batch.shape[:-1], features), np.float32)
    noisy[..., :features] += noise * (np.float32(sigma) * scale)
    return within(noisy, limits)


def within(batch: Float, limits: tuple[Float, Float] | None) -> Float:
    """Clips the first columns of a batch to their limits, in place.

    Args:
        batch: Windows, f4 (b, K, F).
        limits: Least and greatest values, f4 (F,) each; None clips nothing.

    Returns:
        The batch.
    """
    if limits is not None:
        columns = batch[..., : len(limits[0])]
        np.clip(columns, limits[0], limits[1], out=columns)
    return batch
