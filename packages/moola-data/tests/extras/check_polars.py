"""Run by name where polars is installed: pytest tests/extras/check_polars.py.

requires: polars
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from moola_data.bars import make_bars, read_bars
from moola_data.spans_file import read_spans
from moola_data.violations import BarsError, check_bars

N = 40


def frame():
    close = 100 + np.cumsum(np.random.default_rng(0).normal(0, 0.1, N))
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-02", periods=N, freq="min"),
            "open": close,
            "high": close + 0.2,
            "low": close - 0.2,
            "close": close,
            "symbol": "ES",
        }
    )


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_polars_table_gives_the_bars_of_the_pandas_table(unit):
    table = pl.DataFrame(frame()).with_columns(pl.col("time").dt.cast_time_unit(unit))
    found, wanted = make_bars(table), make_bars(frame())
    for name in ("time", "open", "high", "low", "close", "symbol"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert found.symbols == ("ES",)


def test_a_categorical_symbol_is_read_by_its_name():
    table = pl.DataFrame(frame()).with_columns(pl.col("symbol").cast(pl.Categorical))
    assert make_bars(table).symbols == ("ES",)


def test_files_that_polars_writes_are_read(tmp_path):
    table = pl.DataFrame(frame())
    table.write_parquet(tmp_path / "bars.parquet")
    table.write_csv(tmp_path / "bars.csv")
    pl.DataFrame({"start": [3, 9], "end": [5, 12]}).write_parquet(tmp_path / "spans.parquet")
    bars = read_bars(tmp_path / "bars.parquet")
    np.testing.assert_array_equal(read_bars(tmp_path / "bars.csv").close, bars.close)
    assert read_spans(tmp_path / "spans.parquet", bars).end.tolist() == [5, 12]


def test_a_missing_price_is_named_by_row():
    table = pl.DataFrame(frame()).with_columns(close=pl.when(pl.arange(N) == 7).then(None).otherwise("close"))
    assert set(check_bars(table)["row"]) == {7}
    with pytest.raises(BarsError, match="row 7"):
        make_bars(table)
