"""Every rule of `check_bars`, in one compiled pass."""

import sys
from pathlib import Path

import pandas as pd

from moola_data.violations import check_bars

sys.path.insert(0, str(Path(__file__).parent))
from walk import walk

VERSIONS = ["moola-data", "numba", "pandas"]


def prepare() -> pd.DataFrame:
    prices = walk()
    times = pd.date_range("2020-01-01", periods=len(prices["close"]), freq="min")
    return pd.DataFrame(prices, index=times)


def once(bars: pd.DataFrame) -> pd.DataFrame:
    found = check_bars(bars)
    assert len(found) == 0
    return found
