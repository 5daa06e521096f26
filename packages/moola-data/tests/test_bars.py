"""Tables in, checked bars or every violation out."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.bars import BarsRepaired, make_bars, read_bars
from moola_data.violations import BarsError, check_bars

PRICES = ["open", "high", "low", "close"]


def table(n: int = 6, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    open_, close = rng.uniform(90, 110, n), rng.uniform(90, 110, n)
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-02", periods=n, freq="min"),
            "open": open_,
            "high": np.maximum(open_, close) + 1,
            "low": np.minimum(open_, close) - 1,
            "close": close,
        }
    )


def with_cell(row: int, column: str, value: object, n: int = 6) -> pd.DataFrame:
    frame = table(n).astype({column: object})
    frame.loc[row, column] = value
    return frame


def rules(frame, **how) -> set[tuple[int, str]]:
    found = check_bars(frame, **how)
    return set(zip(found["row"].tolist(), found["rule"].tolist(), strict=True))


def test_prices_and_times_arrive_unchanged():
    frame = table()
    bars = make_bars(frame)
    for name in PRICES:
        np.testing.assert_array_equal(getattr(bars, name), frame[name])
    np.testing.assert_array_equal(bars.time, frame["time"].to_numpy("M8[ns]"))


def test_the_table_is_neither_changed_nor_shared():
    frame = table()
    before = frame.copy(deep=True)
    bars = make_bars(frame, repair="clip")
    bars.close[0] = -1
    pd.testing.assert_frame_equal(frame, before)


def test_names_are_found_whatever_their_case():
    frame = table().rename(columns=str.title).rename(columns={"Time": "Timestamp"})
    assert make_bars(frame).close.tolist() == frame["Close"].tolist()


def test_the_index_serves_as_time():
    frame = table()
    np.testing.assert_array_equal(make_bars(frame.set_index("time")).time, make_bars(frame).time)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("open", np.nan, "NaN"),
        ("open", None, "NaN"),
        ("open", decimal.Decimal("NaN"), "NaN"),
        ("high", np.inf, "infinite"),
        ("low", -np.inf, "infinite"),
        ("low", 0.0, "price <= 0"),
        ("low", -3.0, "price <= 0"),
        ("close", "12", "not a number"),
        ("close", True, "not a number"),
        ("close", np.timedelta64(3, "s"), "not a number"),
        ("high", 1.0, "high < low"),
        ("high", 1.0, "high < max(open, close)"),
        ("low", 500.0, "low > min(open, close)"),
        ("time", pd.Timestamp("2023-01-01"), "unsorted time"),
        ("time", pd.Timestamp("2024-01-02 00:02"), "duplicate time"),
        ("time", None, "unparsable time"),
        ("time", "yesterday", "unparsable time"),
        ("time", "now", "unparsable time"),
        ("time", 20240102, "unparsable time"),
        ("time", "3024-01-02", "unparsable time"),
        ("time", "2024-01-02T00:03:00Z", "duplicate time"),
    ],
)
def test_each_rule_is_reported_at_its_row(column, value, rule):
    frame = with_cell(3, column, value)
    if rule == "duplicate time" and isinstance(value, str):
        frame["time"] = ["2024-01-02T00:0" + digit + ":00Z" for digit in "012334"]
        assert rules(frame) == {(4, rule)}
        return
    assert (3, rule) in rules(frame)
    assert all(row == 3 for row, _ in rules(frame))
    with pytest.raises(BarsError, match=r"in row 3; \d violation") as error:
        make_bars(frame)
    pd.testing.assert_frame_equal(error.value.violations, check_bars(frame))


def test_all_violations_are_listed_not_the_first():
    frame = with_cell(1, "open", np.nan)
    frame.loc[4, "low"] = -1.0
    frame.loc[5, "high"] = 1.0
    assert {(1, "NaN"), (4, "price <= 0"), (5, "high < low")} < rules(frame)


def test_a_missing_column_and_an_ambiguous_one_concern_the_whole_table():
    assert rules(table().drop(columns="low")) == {(-1, "missing column")}
    assert rules(table().assign(Close=1.0)) == {(-1, "ambiguous column")}
    assert rules(table().assign(date="2024-01-02")) == {(-1, "ambiguous column")}
    assert rules(table().assign(time=range(6))) == {(-1, "unparsable time")}
    assert (-1, "not a number") in rules(table().assign(low=pd.Timestamp(0)))
    with pytest.raises(BarsError, match=r"missing column \(low\) in the table"):
        make_bars(table().drop(columns="low"))


def test_no_rows_are_no_bars():
    assert (-1, "no rows") in rules(table().iloc[:0])


def test_something_that_is_no_table_is_a_type_error():
    with pytest.raises(TypeError, match="frame: want a pandas table"):
        make_bars([1, 2, 3])


def test_zoned_times_become_utc():
    frame = table()
    frame["time"] = frame["time"].dt.tz_localize("America/New_York")
    assert make_bars(frame).time[0] == np.datetime64("2024-01-02T05:00")
    frame["time"] = [t.isoformat() for t in frame["time"]]
    assert make_bars(frame).time[0] == np.datetime64("2024-01-02T05:00")


def test_times_of_which_only_some_name_a_zone_are_refused():
    frame = table()
    frame["time"] = [f"2024-01-02T00:0{i}:00" + ("Z" if i % 2 else "") for i in range(6)]
    assert rules(frame) == {(i, "no time zone") for i in (0, 2, 4)}


def test_symbols_are_regrouped_in_the_order_of_their_first_appearance():
    frame = table().assign(symbol=["B", "A", "B", "A", "B", "A"])
    frame["time"] = frame["time"].iloc[[0, 0, 2, 2, 4, 4]].to_numpy()
    bars = make_bars(frame)
    assert bars.symbols == ("B", "A")
    assert bars.symbol.tolist() == bars.segment.tolist() == [0, 0, 0, 1, 1, 1]
    assert bars.close.tolist() == frame["close"].iloc[[0, 2, 4, 1, 3, 5]].tolist()
    assert rules(frame, symbol_column=None) == {(i, "duplicate time") for i in (1, 3, 5)}


def test_unsorted_time_within_an_interleaved_symbol_is_told_by_the_users_row():
    frame = table().assign(symbol=["B", "A", "B", "A", "B", "A"])
    frame.loc[4, "time"] = pd.Timestamp("2020-01-01")
    assert rules(frame) == {(4, "unsorted time")}


def test_a_missing_symbol_is_refused_and_a_missing_symbol_column_only_if_asked_for():
    assert rules(table().assign(symbol=[*"AAA", None, *"AA"])) == {(3, "missing symbol")}
    assert make_bars(table()).symbols == ("",)
    assert rules(table(), symbol_column="ticker") == {(-1, "missing column")}


def test_gaps_and_barrier_columns_start_segments():
    frame = table().assign(session=[1, 1, 1, 2, 2, 2], contract=[*"HHHHHM"])
    frame.loc[1:, "time"] += pd.Timedelta("1h")
    bars = make_bars(frame, gap=datetime.timedelta(minutes=30), segment_column=["session", "contract"])
    assert bars.segment.tolist() == [0, 1, 1, 2, 2, 3]
    assert make_bars(frame, gap=datetime.timedelta(hours=2)).segment.max() == 0
    with pytest.raises(ValueError, match="gap: want a positive time"):
        make_bars(frame, gap=datetime.timedelta(0))


def test_repair_is_done_only_when_asked_and_is_reported():
    frame = with_cell(2, "high", 1.0)
    with pytest.raises(BarsError):
        make_bars(frame)
    with pytest.warns(BarsRepaired, match="1 row clipped") as caught:
        bars = make_bars(frame, source="file", repair="clip")
    assert bars.high[2] == frame[["open", "low", "close"]].loc[2].astype(float).max()
    assert "1 row clipped" in bars.source
    assert set(caught[0].message.violations["row"]) == {2}
    with pytest.warns(BarsRepaired, match="1 row dropped"):
        assert make_bars(frame, repair="drop").close.tolist() == frame["close"].drop(2).tolist()


def test_dropped_rows_leave_symbols_in_the_order_of_their_first_appearance():
    frame = table().assign(
        symbol=["A", "B", "B", "A", "A", "C"], open=[np.nan, *table()["open"][1:-1], np.nan]
    )
    with pytest.warns(BarsRepaired, match="2 rows dropped"):
        bars = make_bars(frame, repair="drop")
    assert bars.symbols == ("B", "A")
    assert bars.symbol.tolist() == bars.segment.tolist() == [0, 0, 1, 1]
    assert bars.close.tolist() == frame["close"].iloc[1:5].tolist()


def test_a_symbol_that_is_no_name_is_refused():
    assert rules(table().assign(symbol=[*"AAA", ["A"], *"AA"])) == {(3, "missing symbol")}


def test_what_a_repair_cannot_cure_is_refused_by_the_users_row():
    frame = with_cell(1, "high", 1.0)
    frame.loc[3, "open"] = np.nan
    with pytest.raises(BarsError) as error:
        make_bars(frame, repair="clip")
    assert error.value.violations["row"].tolist() == [3]
    spike = table(8)
    spike.loc[2, "time"] = pd.Timestamp("2030-01-01")  # every later bar lies before it
    with pytest.raises(BarsError) as error:
        make_bars(spike, repair="drop")
    assert error.value.violations["row"].tolist() == [4]
    with pytest.raises(BarsError, match="no rows"):
        make_bars(table().assign(open=np.nan), repair="drop")


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "pq"])
def test_files_give_the_bars_of_the_table(tmp_path, kind):
    frame = table(50).assign(Symbol=["NA"] * 25 + ["1E5"] * 25, volume=1)
    path = tmp_path / f"bars.{kind}"
    frame.to_csv(path, index=False) if "csv" in kind else frame.to_parquet(path, index=False)
    bars, wanted = read_bars(path), make_bars(frame, source=path.name)
    assert bars.symbols == ("NA", "1E5")
    assert bars.source == f"bars.{kind}"
    for name in ("time", "symbol", "segment", *PRICES):
        np.testing.assert_array_equal(getattr(bars, name), getattr(wanted, name))


def test_a_time_index_survives_parquet(tmp_path):
    table().set_index("time").to_parquet(tmp_path / "bars.parquet")
    np.testing.assert_array_equal(read_bars(tmp_path / "bars.parquet").time, make_bars(table()).time)


def test_bad_cells_of_a_csv_are_told_one_by_one(tmp_path):
    frame = with_cell(2, "close", "n/b")
    frame["time"] = frame["time"].astype(str).where(frame.index != 4, "soon")
    frame.to_csv(tmp_path / "bars.csv", index=False)
    with pytest.raises(BarsError, match=r"bars\.csv: want checked bars") as error:
        read_bars(tmp_path / "bars.csv")
    found = error.value.violations
    assert list(zip(found["row"], found["rule"], strict=True)) == [
        (2, "not a number"),
        (4, "unparsable time"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bars.csv", b""),
        ("bars.csv", b"time,open,high,low,close\n2024-01-02,1,1\n"),
        ("bars.csv", b"time,open,open,high,low,close\n2024-01-02,1,1,1,1,1\n"),
        ("bars.csv", b"time,open,high,low,close\n\xff\xfe\x00,1,1,1,1\n"),
        ("bars.csv.gz", b"time,open\n"),
        ("bars.parquet", b"PAR1"),
        ("bars.xlsx", b"PK"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"bars: want a |want checked bars"):
        read_bars(tmp_path / name)


@pytest.mark.parametrize(("mark", "called"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_csv_with_something_else_than_commas_is_told_so(tmp_path, mark, called):
    rows = [["time", *PRICES], ["2024-01-02", "1,5", "2", "1", "1"]]
    (tmp_path / "bars.csv").write_text("\n".join(mark.join(row) for row in rows))
    with pytest.raises(
        ValueError, match=rf"bars: want .*bars\.csv: want columns with commas .* got {called}"
    ):
        read_bars(tmp_path / "bars.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_other_columns_misses_columns_not_rows(tmp_path, kind):
    other, path = pd.DataFrame({"a": [1, 2], "b": [3, 4]}), tmp_path / f"bars.{kind}"
    other.to_csv(path, index=False) if kind == "csv" else other.to_parquet(path, index=False)
    with pytest.raises(BarsError, match=r"got missing column \(time\) in the table; 5 violations"):
        read_bars(path)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"bars: want a file, got .*none\.csv"):
        read_bars(tmp_path / "none.csv")


def test_arrow_tables_give_the_bars_of_the_pandas_table(tmp_path):
    frame = table(30).assign(symbol="ES")
    arrow = pa.Table.from_pandas(frame, preserve_index=False)

    class Foreign:  # only the PyCapsule interface, as another library's table
        def __arrow_c_stream__(self, requested_schema=None):
            return arrow.__arrow_c_stream__(requested_schema)

    wanted = make_bars(frame)
    for given_ in (arrow, Foreign(), frame.convert_dtypes(dtype_backend="pyarrow")):
        bars = make_bars(given_)
        for name in ("time", *PRICES):
            np.testing.assert_array_equal(getattr(bars, name), getattr(wanted, name))
    pq.write_table(arrow, tmp_path / "bars.parquet")
    np.testing.assert_array_equal(read_bars(tmp_path / "bars.parquet").close, wanted.close)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([1.0, 2.0, 3.0, 0.0, np.nan, np.inf])] * 4), min_size=1, max_size=6)
)
def test_the_compiled_pass_and_the_list_of_violations_agree(rows):
    """Small prices, so that each of the many orders of open, high, low and close is met."""
    frame = pd.DataFrame(rows, columns=PRICES, index=pd.date_range("2024-01-02", periods=len(rows)))
    good = [
        bool(np.isfinite([o, high, low, c]).all()) and 0 < low <= min(o, c) and high >= max(o, c)
        for o, high, low, c in rows
    ]
    found = check_bars(frame)
    assert set(found["row"]) == {row for row, fine in enumerate(good) if not fine}
