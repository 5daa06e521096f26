"""Prices upside down: an exact symmetry of labels, and of features that say what it does to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moola_data.features import FeatureSet, feature_set
from moola_data.schema import Bars, WindowSet
from moola_data.window_join import join
from moola_data.window_subset import select

Float = npt.NDArray[np.float32]


def mirror_bars(bars: Bars) -> Bars:
    """Turns prices upside down: p becomes low + high - p, with the lowest and highest price of the symbol.

    Highs and lows change places; all differences keep their size, prices stay positive and on their ticks.
    Spans stay where they are, an expansion up becoming one down.

    Args:
        bars: The bars.

    Returns:
        The mirrored bars; times, symbols and segments are shared.
    """
    symbols = len(bars.symbols)
    least, most = np.full(symbols, np.inf), np.full(symbols, -np.inf)
    np.minimum.at(least, bars.symbol, bars.low)
    np.maximum.at(most, bars.symbol, bars.high)
    total = (least + most)[bars.symbol]
    return bars.model_copy(
        update={
            "open": total - bars.open,
            "high": total - bars.low,
            "low": total - bars.high,
            "close": total - bars.close,
        }
    )


def mirror_features(values: Float, names: tuple[str, ...], *, features: str | FeatureSet) -> Float:
    """Gives the features that the mirrored bars have, without computing them anew.

    Exact but for two things of the `origin` set: its swing detector always starts upwards and is no mirror
    image of itself until it has seen its first swings (the set's warm-up); and a bar without range,
    high = low, has open_norm and close_norm 0 on both sides.

    Args:
        values: Features, f4 (..., F).
        names: Names of the columns.
        features: The set they are of, or its name.

    Returns:
        Features of the mirrored bars, f4 (..., F).

    Raises:
        ValueError: A column is none of the set's, has no exact mirror image, or its counterpart is missing.
    """
    chosen = feature_set(features) if isinstance(features, str) else features
    known = {feature.name: feature.mirror for feature in chosen.features}
    mirrored = np.empty_like(values)
    for column, name in enumerate(names):
        if name not in known:
            raise ValueError(f"names: want features of {chosen.name!r}, got {name!r}")
        image = known[name]
        if image is None:
            raise ValueError(f"names: want features with an exact mirror image, got {name!r}")
        if image.partner not in names:
            raise ValueError(f"names: want {image.partner!r} beside {name!r}, its counterpart, got none")
        # Where nothing is scaled, nothing is rounded.
        source = values[..., names.index(image.partner)]
        if image.scale == -1:
            source = -source if image.offset == 0 else np.float32(image.offset) - source
        elif image.scale != 1 or image.offset != 0:
            source = np.float32(image.offset) + np.float32(image.scale) * source
        mirrored[..., column] = source
    return mirrored


def with_mirrored(window_set: WindowSet, *, features: str | FeatureSet | None = None) -> WindowSet:
    """Adds the mirror image of every training window behind the windows of a set.

    Copies keep group, part, targets and weight. The feature matrix doubles: its second half is the mirror
    image of the first.

    Args:
        window_set: Windows.
        features: The set of their features; the one that their `feature_set` names unless given.

    Returns:
        The windows, then the copies.

    Raises:
        ValueError: As `mirror_features`.
    """
    chosen = window_set.feature_set if features is None else features
    image = mirror_features(window_set.features, window_set.feature_names, features=chosen)
    copies = select(window_set, window_set.split == 0)
    return join(window_set, copies.model_copy(update={"features": image, "purged": {}}))
