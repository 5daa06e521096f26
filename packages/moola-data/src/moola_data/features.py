"""Feature sets: what each bar feature is, and the matrix of them for given bars."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

import numpy as np
import numpy.typing as npt

from moola_data.schema import Bars, FeatureMatrix

FEATURE_SETS = {"origin": "moola_data.origin", "jade": "moola_data.jade"}
"""Where each named set stands, as `FEATURES`; loaded when asked for, as the compiler takes long to load."""
GROUP = "moola_data.feature_sets"
"""Entry-point group in which another package names a `FeatureSet` of its own under the set's name."""


@dataclass(frozen=True)
class Mirror:
    """What an upside-down price does to a feature: it becomes ``offset + scale * partner``."""

    partner: str
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Feature:
    """One column of a feature set.

    Attributes:
        name: The column's name, unique in its set.
        formula: What it is, in one line.
        low: Least value it can take.
        high: Greatest value it can take.
        unit: What it is measured in; "1" for a pure number.
        warmup: Bars at the head of a segment after which the value hardly depends on what was before them:
            at every later bar at most one cold start in twenty still differs, by more than a thousandth of
            the range.
        mirror: What it becomes when prices are turned upside down; None where that has no exact form.
        function: Compiled function from the bar's state to the value.
        causal: Whether it uses nothing after its bar.
        lasting: Whether it tells of something that lasts, such as a leg or its age, and should seldom turn.
        flag: Whether it only says if other features are known.
    """

    name: str
    formula: str
    low: float
    high: float
    unit: str
    warmup: int
    mirror: Mirror | None
    function: Callable[..., float]
    causal: bool = True
    lasting: bool = False
    flag: bool = False


@dataclass(frozen=True)
class FeatureSet:
    """Features computed together in one compiled pass.

    Attributes:
        name: The set's name.
        features: Its features in the order of the columns.
        fill: Compiled pass (open, high, low, close, heads, out): writes the features of each segment,
            ``heads[j]`` to ``heads[j+1]``, into the rows of `out`, f4 (N, F), starting afresh in each.
        starts_cold: Whether windows are meant to be computed each on its own, without bars before them.
    """

    name: str
    features: tuple[Feature, ...]
    fill: Callable[..., None]
    starts_cold: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names in the order of the columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def warmup(self) -> int:
        """The longest warm-up of its features."""
        return max(feature.warmup for feature in self.features)


def feature_set(name: str) -> FeatureSet:
    """Returns a named feature set.

    Args:
        name: A key of `FEATURE_SETS`, or what an installed package offers in the entry-point group `GROUP`.

    Raises:
        ValueError: There is no such set, or what a package offers bears another name: a run remembers the
            set by its name.
        TypeError: What a package offers is no `FeatureSet`.
    """
    if name in FEATURE_SETS:
        own: FeatureSet = importlib.import_module(FEATURE_SETS[name]).FEATURES
        return own
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        raise ValueError(
            f"feature_set: want one of {', '.join([*FEATURE_SETS, *sorted(offered)])}, got {name!r}"
        )
    found: object = offered[name].load()
    if not isinstance(found, FeatureSet):
        raise TypeError(f"entry point {GROUP}:{name}: want a FeatureSet, got {found!r}")
    if found.name != name:
        raise ValueError(f"entry point {GROUP}:{name}: want a set named {name!r}, got {found.name!r}")
    return found


def segment_heads(segment: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Lists the first bar of every segment, and the number of bars at the end.

    >>> segment_heads(np.array([0, 0, 1, 1, 1])).tolist()
    [0, 2, 5]
    """
    change = np.flatnonzero(segment[1:] != segment[:-1]) + 1
    return np.concatenate([[0], change, [len(segment)]]).astype(np.int64)


def compute_features(bars: Bars, features: str | FeatureSet = "origin") -> FeatureMatrix:
    """Computes a set of features for every bar, each from bars up to its own and of its own segment.

    Args:
        bars: Checked bars, N of them.
        features: The name of a set, or a set.

    Returns:
        Values f4 (N, F), C order, with the names of the columns; ranges and units stand in the set.

    Raises:
        ValueError: There is no set of that name.

    >>> from moola_data.sample import load_sample
    >>> matrix = compute_features(load_sample())
    >>> matrix.values.shape, matrix.names[5]
    ((11958, 12), 'range_z')
    """
    chosen = feature_set(features) if isinstance(features, str) else features
    values = np.empty((len(bars), len(chosen.features)), np.float32)
    chosen.fill(bars.open, bars.high, bars.low, bars.close, segment_heads(bars.segment), values)
    return FeatureMatrix(values=values, names=chosen.names, feature_set=chosen.name, warmup=chosen.warmup)
