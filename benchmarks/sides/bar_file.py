"""A Parquet file of a seeded random walk, the same for every side."""

import sys
import tempfile
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from walk import walk


def bar_file() -> Path:
    path = Path(tempfile.mkdtemp()) / "bars.parquet"
    prices = walk()
    times = pd.date_range("2020-01-01", periods=len(prices["close"]), freq="min")
    pd.DataFrame({"time": times, **prices}).to_parquet(path, index=False)
    return path
