"""Drift: whether the features a run is asked to judge are like those it was trained on.

For every feature the training bars are cut into ten bins of equal share. The population stability index
(PSI) of other bars is Σ (p − q) ln(p / q) over the bins, p their shares and q those of training, each with
half a bar added so that an empty bin is finite. By the common rule of thumb 0.1 is a shift and 0.25 a large
one. Each tenth of the training bars, in the order of time, shifts too: the largest PSI of them is ``usual``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

NAME = "drift.json"
BINS = 10
LARGE = 0.25
Matrix = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainedFeature(_Frozen):
    """A feature in training."""

    name: str
    edges: tuple[float, ...]
    """Inner borders of the bins, ascending; fewer than nine where values repeat."""
    counts: tuple[int, ...]
    """Training bars by bin, one more than edges."""
    usual: float
    """Largest PSI of a tenth of the training bars against all of them."""


class TrainedFeatures(_Frozen):
    """What a run remembers of its training bars: ``drift.json``."""

    schema_version: Literal[1] = 1
    feature_set: str
    bars: int
    features: tuple[TrainedFeature, ...]


class FeatureDrift(_Frozen):
    """One feature of other bars against training."""

    name: str
    psi: float
    usual: float
    outside: int
    """Bars in bins that hold less than 1 % of training, or none."""
    drifted: bool
    """PSI of 0.25 or more, more than usual, and more than twice what chance makes of so few bars."""


class DriftReport(_Frozen):
    """All features of other bars against training."""

    schema_version: Literal[1] = 1
    bars: int
    trained_bars: int
    expected: float
    """Mean PSI of so many independent bars of training's own distribution."""
    pooled: float
    """Mean PSI over the features."""
    not_finite: int
    """Bars left out because a feature is not finite."""
    features: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[FeatureDrift, ...]:
        """The features that have drifted, the worst first."""
        return tuple(sorted((f for f in self.features if f.drifted), key=_psi_of, reverse=True))

    def __str__(self) -> str:
        """One line if nothing has drifted, a table otherwise."""
        worst = max(self.features, key=_psi_of)
        seen = f"{self.bars} bars against {self.trained_bars} in training windows, mean PSI {self.pooled:.2f}"
        if self.not_finite:
            seen += f", {self.not_finite} bars not finite"
        if not self.drifted:
            return (
                f"drift: none of {len(self.features)} features ({seen}, largest {worst.psi:.2f} {worst.name})"
            )
        count = f"{len(self.drifted)} of {len(self.features)}"
        lines = [
            f"WARNING: drift of {count} features ({seen}): what the run was worth on its test part need not "
            "hold here",
            f"{'feature':24} {'PSI':>7} {'usual':>7} {'bars in rare bins':>18}",
        ]
        lines += [f"{f.name:24} {f.psi:7.2f} {f.usual:7.2f} {f.outside:18d}" for f in self.drifted]
        return "\n".join(lines)


def _psi_of(feature: FeatureDrift) -> float:
    return feature.psi


def remember(values: Matrix, *, names: tuple[str, ...], feature_set: str) -> TrainedFeatures:
    """Takes the bins of the training bars.

    Args:
        values: Features of the training bars in the order of time, f4 (bars, F), finite.
        names: Of the features.
        feature_set: They belong to.

    Raises:
        ValueError: Fewer than 10 bars, or a value that is not finite.
    """
    if len(values) < BINS:
        raise ValueError(f"values: want {BINS} bars or more, got {len(values)}")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(f"values: want finite features, got {values[row].tolist()} in row {row}")
    features = []
    for name, column in zip(names, values.T, strict=True):
        edges = np.unique(np.quantile(column, np.arange(1, BINS) / BINS))
        whole = _counts(column, edges)
        parts = [psi(_counts(part, edges), whole) for part in np.array_split(column, BINS)]
        features.append(
            TrainedFeature(
                name=name,
                edges=tuple(edges.tolist()),
                counts=tuple(whole.tolist()),
                usual=max(parts),
            )
        )
    return TrainedFeatures(feature_set=feature_set, bars=len(values), features=tuple(features))


def compare(values: Matrix, trained: TrainedFeatures) -> DriftReport:
    """Compares other bars with those of training.

    Args:
        values: The same features in the same order, f4 (bars, F). Bars with one that is not finite are left
            out and counted.
        trained: What `remember` gave.

    Raises:
        ValueError: Another number of features, or no bar is left.
    """
    if values.shape[1] != len(trained.features):
        raise ValueError(f"values: want {len(trained.features)} features, got {values.shape[1]}")
    finite = np.isfinite(values).all(axis=1)
    kept = values[finite]
    if not len(kept):
        raise ValueError(f"values: want a bar with finite features, got none of {len(values)}")
    expected = (BINS - 1) * (1 / len(kept) + 1 / trained.bars)
    found = []
    for feature, column in zip(trained.features, kept.T, strict=True):
        before = np.array(feature.counts)
        now = _counts(column, np.array(feature.edges))
        index = psi(now, before)
        found.append(
            FeatureDrift(
                name=feature.name,
                psi=index,
                usual=feature.usual,
                outside=int(now[before < 0.01 * before.sum()].sum()),
                drifted=index >= LARGE and index > max(feature.usual, 2 * expected),
            )
        )
    return DriftReport(
        bars=len(kept),
        trained_bars=trained.bars,
        expected=expected,
        pooled=float(np.mean([feature.psi for feature in found])),
        not_finite=int((~finite).sum()),
        features=tuple(found),
    )


def psi(now: Counts, before: Counts) -> float:
    """Population stability index of two histograms with the same bins, 0 or more.

    >>> psi(np.array([10, 10]), np.array([500, 500]))
    0.0
    """
    p = (now + 0.5) / (now + 0.5).sum()
    q = (before + 0.5) / (before + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())


def read_trained(run: Path) -> TrainedFeatures | None:
    """Reads what a run remembers; None of a run that was made before runs remembered.

    Raises:
        ValueError: The file is damaged.
    """
    path = run / NAME
    if not path.is_file():
        return None
    try:
        return TrainedFeatures.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"run: want a readable {path}, got {error.errors()[0]['msg']}") from error


def _counts(column: npt.NDArray[np.floating], edges: npt.NDArray[np.float64]) -> Counts:
    bins = np.searchsorted(edges, column, side="left")
    return np.bincount(bins, minlength=len(edges) + 1).astype(np.int64)
