"""An audit of features: do they repaint, look ahead, or betray where a window begins?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data._feature_checks import (
    Subject,
    flips,
    looks_ahead,
    mirror_breaks,
    random_starts,
    range_used,
    repaints,
    scale_breaks,
    settles_after,
    shared_code,
    window_trace,
)
from moola_data.features import FeatureSet, compute_features, feature_set
from moola_data.schema import Bars, FeatureMatrix

Result = FeatureMatrix | pd.DataFrame | npt.NDArray[np.floating]
HORIZON = 400
"""Bars that a cold start is followed for."""


def audit(
    features: str | FeatureSet | Callable[[Bars], Result],
    bars: Bars,
    *,
    seed: int = 0,
    prefixes: int = 200,
    starts: int = 60,
    length: int = 105,
) -> pd.DataFrame:
    """Tests every feature of a set, or of a function of your own, on given bars.

    What is tested, and what convicts:

    - `repaints`: of `prefixes` random prefixes of at least `length` bars, how many give another value
      somewhere than the whole. One convicts.
    - `looks_ahead`: how many of a quarter as many cuts change a value before them when the bars behind the
      cut are replaced. One convicts.
    - `settles_after`: bars after a cold start from which on, at every bar, at most one in twenty cold starts
      differs by more than a thousandth of the range from the running computation. More than the declared
      `warmup` convicts.
    - `window_trace`: share of values of a window that depend on where it begins, when features are computed
      as they were meant to be: with their warm-up before the window, or, if the set starts cold, without.
      More than 1 % convicts.
    - `shared_code`: where the value of the first bars, which cannot be known yet, lasts into a window: the
      share of known values that have the same code, if no flag tells them apart. Any convicts.
    - `scale`: share of values that change with the unit of price. More than 0.1 % convicts.
    - `mirror`: share of values, after the warm-up, that prices upside down change otherwise than declared.
      More than 0.5 % convicts.
    - `flips`: share of bars at which a signed feature changes sign, or another goes against its drift. More
      than 25 % convicts a feature declared as lasting, such as a leg or its age.
    - `range_used`: from the 0.1 % to the 99.9 % quantile, as a share of the declared range. Less than 10 %
      convicts, unless the feature is a flag.

    Args:
        features: The name of a set, a set, or a function from bars to an array (N, F), a table or a
            `FeatureMatrix`. A function declares nothing: its warm-up is taken as 0, and checks that need a
            declared range or mirror image are NaN.
        bars: Bars with a segment of about 1,000 bars or more.
        seed: For prefixes, cuts and starts.
        prefixes: How many prefixes.
        starts: How many cold starts.
        length: Bars a window.

    Returns:
        A row a feature: `feature`, `warmup`, the measures above, and `verdict`, "clean" or what convicts it.

    Raises:
        ValueError: No segment is long enough, or a function returns other than a row a bar.

    >>> from moola_data.sample import load_sample
    >>> table = audit("jade", load_sample(), prefixes=20, starts=20).set_index("feature")
    >>> table.loc["leg", "verdict"]
    'clean'
    """
    subject = _subject(features, bars)
    rng = np.random.default_rng(seed)
    begin = random_starts(
        bars, rng, starts, before=HORIZON + max(subject.context, length), after=max(HORIZON, length)
    )
    table = pd.DataFrame(
        {
            "feature": subject.names,
            "warmup": subject.warmup,
            "repaints": repaints(subject, rng.integers(length, len(bars), prefixes)),
            "looks_ahead": looks_ahead(subject, rng, cuts=max(prefixes // 4, 1)),
            "settles_after": settles_after(subject, begin, horizon=HORIZON),
            "window_trace": window_trace(subject, begin, length=length),
            "shared_code": shared_code(subject, begin, length=length),
            "scale": scale_breaks(subject),
            "mirror": mirror_breaks(subject),
            "flips": flips(subject),
            "range_used": range_used(subject),
        }
    )
    convicts = {
        "repaints": table["repaints"] > 0,
        "looks ahead": table["looks_ahead"] > 0,
        "settles late": table["settles_after"] > table["warmup"],
        "shows where windows begin": table["window_trace"] > 0.01,
        "unknown coded as a value": table["shared_code"] > 0,
        "depends on the price unit": table["scale"] > 0.001,
        "not mirror-symmetric": table["mirror"] > 0.005,
        "flips": (table["flips"] > 0.25) & subject.lasting,
        "range hardly used": (table["range_used"] < 0.1) & ~subject.flag,
    }
    verdict = [
        "; ".join(name for name, bad in convicts.items() if bad[row]) or "clean" for row in table.index
    ]
    return table.assign(verdict=verdict)


def audit_markdown(table: pd.DataFrame) -> str:
    """Sets an audit's table as Markdown.

    Args:
        table: What `audit` returned.

    Returns:
        The table, shares in per cent; empty where nothing is declared.
    """
    shares = ("window_trace", "shared_code", "scale", "mirror", "flips", "range_used")
    shown = table.astype(object)
    for name in shares:
        shown[name] = ["" if np.isnan(value) else f"{100 * value:.1f}" for value in table[name]]
    names = [str(name) for name in table]
    head = [name.replace("_", " ") + (" %" if name in shares else "") for name in names]
    align = ["---" if name in ("feature", "verdict") else "---:" for name in names]
    rows = [head, align, *shown.astype(str).to_numpy().tolist()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _subject(features: str | FeatureSet | Callable[[Bars], Result], bars: Bars) -> Subject:
    if isinstance(features, str):
        features = feature_set(features)
    if not isinstance(features, FeatureSet):
        function = features
        whole, names = _read(function(bars), bars)
        f = len(names)
        return Subject(
            compute=lambda part: _read(function(part), part)[0],
            bars=bars,
            whole=whole,
            names=names,
            warmup=np.zeros(f, np.int64),
            low=np.full(f, np.nan),
            high=np.full(f, np.nan),
            mirrors=(None,) * f,
            lasting=np.zeros(f, bool),
            flag=np.zeros(f, bool),
            context=0,
        )
    chosen, columns = features, features.features
    return Subject(
        compute=lambda part: compute_features(part, chosen).values,
        bars=bars,
        whole=compute_features(bars, chosen).values,
        names=chosen.names,
        warmup=np.array([feature.warmup for feature in columns]),
        low=np.array([feature.low for feature in columns], np.float64),
        high=np.array([feature.high for feature in columns], np.float64),
        mirrors=tuple(feature.mirror for feature in columns),
        lasting=np.array([feature.lasting for feature in columns]),
        flag=np.array([feature.flag for feature in columns]),
        context=0 if chosen.starts_cold else chosen.warmup,
    )


def _read(result: Result, bars: Bars) -> tuple[npt.NDArray[np.floating], tuple[str, ...]]:
    """Returns values (N, F) and names of what a user's function gave."""
    values: npt.NDArray[np.floating]
    if isinstance(result, FeatureMatrix):
        values, names = result.values, result.names
    elif isinstance(result, pd.DataFrame):
        values, names = result.to_numpy(np.float64), tuple(str(name) for name in result.columns)
    else:
        values = np.asarray(result, np.float64)
        values = values[:, None] if values.ndim == 1 else values
        names = tuple(f"feature_{k}" for k in range(values.shape[-1]))
    if values.ndim != 2 or len(values) != len(bars):
        raise ValueError(f"features: want {len(bars)} rows, one a bar, got shape {values.shape}")
    return values, names
