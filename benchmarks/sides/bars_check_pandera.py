"""The same rules as a pandera schema, all errors collected."""

import sys
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

sys.path.insert(0, str(Path(__file__).parent))
from walk import walk

VERSIONS = ["pandera", "pandas"]
PRICE = pa.Column(float, [pa.Check.gt(0), pa.Check.lt(float("inf"))], nullable=False)
SCHEMA = pa.DataFrameSchema(
    dict.fromkeys(("open", "high", "low", "close"), PRICE),
    checks=[
        pa.Check(lambda d: d["high"] >= d["low"]),
        pa.Check(lambda d: d["high"] >= d[["open", "close"]].max(axis=1)),
        pa.Check(lambda d: d["low"] <= d[["open", "close"]].min(axis=1)),
    ],
    index=pa.Index("datetime64[ns]", unique=True, checks=pa.Check(lambda t: t.is_monotonic_increasing)),
)


def prepare() -> pd.DataFrame:
    prices = walk()
    times = pd.date_range("2020-01-01", periods=len(prices["close"]), freq="min", unit="ns")
    return pd.DataFrame(prices, index=times)


def once(bars: pd.DataFrame) -> pd.DataFrame:
    return SCHEMA.validate(bars, lazy=True)
