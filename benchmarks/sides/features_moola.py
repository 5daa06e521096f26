"""All twelve features of the `origin` set, swings included, in one compiled pass."""

import sys
from pathlib import Path

import numpy as np

from moola_data.features import compute_features
from moola_data.schema import Bars, FeatureMatrix

sys.path.insert(0, str(Path(__file__).parent))
from walk import walk

VERSIONS = ["moola-data", "numpy", "numba"]


def prepare() -> Bars:
    prices = walk()
    n = len(prices["close"])
    return Bars(
        time=np.datetime64("2020-01-01", "ns") + np.arange(n) * np.timedelta64(60, "s"),
        **prices,
        symbol=np.zeros(n, np.int32),
        segment=np.zeros(n, np.int64),
        symbols=("walk",),
    )


def once(bars: Bars) -> FeatureMatrix:
    return compute_features(bars, "origin")
