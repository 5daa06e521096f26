"""Whatever a table of bars holds, it is accepted and valid, or refused with a row and a rule."""

import contextlib
import decimal
import fractions
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moola_data.bars import BarsRepaired, make_bars, read_bars
from moola_data.schema import Bars
from moola_data.violations import RULES, BarsError, check_bars

PRICES = ["open", "high", "low", "close"]
NAMES = ["time", *PRICES, "symbol", "session"]
REFUSAL = re.compile(r".+: want checked bars, got .+ in (the table|row \d+); \d+ violations? in all", re.S)


def good_table(n: int, *, seed: int, symbols: int, tick: float) -> pd.DataFrame:
    """Bars that break no rule: one symbol after the other, prices on a grid if there is a tick."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(0.01 * rng.standard_t(3, n)).clip(-3, 3))
    open_ = np.concatenate([[50.0], close[:-1]])[:n]
    prices = {
        "open": open_,
        "high": np.maximum(open_, close) * (1 + 0.01 * rng.exponential(size=n)),
        "low": np.minimum(open_, close) * (1 - 0.01 * rng.random(n)),
        "close": close,
    }
    if tick:
        prices = {name: np.round(price / tick) * tick for name, price in prices.items()}
    frame = pd.DataFrame({"time": pd.date_range("2024-03-09", periods=n, freq="h"), **prices})
    if symbols:
        frame["symbol"] = [f"S{i * symbols // max(n, 1)}" for i in range(n)]
    return frame.assign(session=np.arange(n) // 7)


cells = st.one_of(
    st.sampled_from(
        [np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 5e-324, 1.7e308, 10**400, -(2**63), 2**64, 2**53 + 1]
    ),
    st.sampled_from([None, pd.NA, pd.NaT, "", " ", "12", "NaN", "1e5", "nan ", b"1", True, [], {}, (1,)]),
    st.sampled_from([decimal.Decimal("sNaN"), decimal.Decimal("1e-400"), fractions.Fraction(1, 3), 1j]),
    st.sampled_from(
        [np.float32(3), np.int8(-1), np.bool_(True), np.datetime64("NaT"), np.timedelta64(1, "s")]
    ),
    st.floats(),
    st.integers(),
    st.text(max_size=4),
    st.datetimes(),
)
moments = st.one_of(
    st.sampled_from(["2024-03-10", "2024-03-10T02:30:00-05:00", "2024-03-10 01:00Z", "20240310", "now", ""]),
    st.sampled_from(["10/03/2024", "9999-12-31", "0001-01-01", "2024-02-30", "2024-W10-1", "24:00", " 2024"]),
    st.sampled_from(
        [None, pd.NaT, np.datetime64("NaT"), np.datetime64("1600"), 20240310, 1.7e18, True, b"x"]
    ),
    st.sampled_from([pd.Timestamp("2024-03-10", tz="UTC"), pd.Timestamp("2024-03-10"), pd.Period("2024-03")]),
    st.datetimes(timezones=st.one_of(st.none(), st.timezones())),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.text(max_size=12),
)
symbols = st.sampled_from(
    ["A", "B", "a", "A ", "", " ", "NA", None, np.nan, pd.NA, 3, 3.0, "3", True, ("x",), []]
)
numpy_kinds = [
    "float16",
    "float32",
    "int8",
    "int64",
    "uint64",
    "bool",
    "complex128",
    "object",
    "datetime64[s]",
]
pandas_kinds = [
    "str",
    "category",
    "Int64",
    "Float64",
    "boolean",
    "Sparse[float]",
    "timedelta64[ns]",
    "period[D]",
]
arrow_kinds = ["string[pyarrow]", "double[pyarrow]", "datetime64[ns,America/New_York]"]
kinds = st.sampled_from([*numpy_kinds, *pandas_kinds, *arrow_kinds])
FUTILE = (pa.ArrowException, TypeError, ValueError, ArithmeticError, AttributeError, LookupError)
"""What pandas and pyarrow raise at a change that some table does not allow, such as None to integers."""


@st.composite
def tables(draw) -> pd.DataFrame:
    """A good table, or one that up to four things have been done to."""
    n = draw(st.one_of(st.integers(0, 3), st.integers(1, 40), st.integers(4, 9)))
    frame = good_table(
        n,
        seed=draw(st.integers(0, 99)),
        symbols=draw(st.integers(0, 3)),
        tick=draw(st.sampled_from([0, 0, 0.25, 5])),
    )
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=4)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas and numpy warn of casts that this test is out to try
            with contextlib.suppress(*FUTILE, NotImplementedError):
                frame = change(draw, frame)
    return frame


def some_rows(draw, frame) -> list[int]:
    rows = st.integers(0, len(frame) - 1)
    return draw(st.lists(rows, min_size=1, max_size=3, unique=True)) if len(frame) else []


def some_column(draw, frame) -> int:
    if frame.shape[1] == 0:
        raise LookupError("no columns")
    return draw(st.integers(0, frame.shape[1] - 1))


def foreign_cells(draw, frame):
    column = some_column(draw, frame)
    kind = {"time": moments, "symbol": symbols}.get(frame.columns[column], cells)
    values = pd.Series(list(frame.iloc[:, column]), dtype=object, index=frame.index)
    for row in some_rows(draw, frame):
        values.iat[row] = draw(kind)
    return put(draw, frame, column, values)


def whole_column(draw, frame):
    column = some_column(draw, frame)
    kind = {"time": moments, "symbol": symbols}.get(frame.columns[column], cells)
    values = draw(st.lists(kind, min_size=len(frame), max_size=len(frame)))
    return put(draw, frame, column, pd.Series(values, dtype=object, index=frame.index))


def put(draw, frame, column, values):
    columns = [frame.iloc[:, at] for at in range(frame.shape[1])]
    columns[column] = values.infer_objects() if draw(st.booleans()) else values
    out = pd.concat(columns, axis=1)
    return out.set_axis(frame.columns, axis=1)


def another_dtype(draw, frame):
    column = some_column(draw, frame)
    return put(draw, frame, column, frame.iloc[:, column].astype(draw(kinds)))


def broken_prices(draw, frame):
    frame = frame.copy()
    for row in some_rows(draw, frame):
        a, b = draw(st.sampled_from(PRICES)), draw(st.sampled_from(PRICES))
        frame.loc[frame.index[row], [a, b]] = frame.loc[frame.index[row], [b, a]].to_numpy()
        if draw(st.booleans()):
            frame.loc[frame.index[row], a] = -frame.loc[frame.index[row], a]
    return frame


def split_jump(draw, frame):
    row = draw(st.integers(0, len(frame)))
    return frame.assign(
        **{name: frame[name].where(np.arange(len(frame)) < row, frame[name] / 4) for name in PRICES}
    )


def other_rows(draw, frame):
    rows = draw(st.lists(st.integers(0, max(len(frame) - 1, 0)), max_size=len(frame) + 2))
    how = draw(st.sampled_from(["shuffled", "reversed", "some", "some", "twice", "twice"]))
    if how == "shuffled":
        return frame.sample(frac=1, random_state=draw(st.integers(0, 9)))
    twice = np.sort(np.concatenate([np.arange(len(frame)), rows]).astype(int))
    return frame.iloc[{"reversed": slice(None, None, -1), "some": sorted(rows), "twice": twice}[how]]


def other_names(draw, frame):
    strange = st.sampled_from(
        [*NAMES, "Open", "TIMESTAMP", "date", " close", "", None, 3, ("open", "x"), np.nan]
    )
    keep = st.integers(0, 4)
    return frame.set_axis([draw(strange) if draw(keep) == 0 else name for name in frame.columns], axis=1)


def fewer_columns(draw, frame):
    lost = {some_column(draw, frame) for _ in range(draw(st.sampled_from([1, 1, 2, 7])))}
    return frame.iloc[:, [at for at in range(frame.shape[1]) if at not in lost]]


def other_symbols(draw, frame):
    names = draw(st.lists(symbols, min_size=1, max_size=3))
    values = pd.Series([names[i % len(names)] for i in range(len(frame))], dtype=object, index=frame.index)
    return frame.assign(symbol=values.sort_values().to_numpy() if draw(st.booleans()) else values)


def other_index(draw, frame):
    how = draw(st.sampled_from(["time", "zoned", "doubled", "several", "several columns"]))
    if how == "time":
        return frame.set_index("time")
    if how == "zoned":
        return frame.set_index(frame["time"].dt.tz_localize("Europe/Berlin")).drop(columns="time")
    if how == "doubled":
        return frame.set_axis(np.zeros(len(frame), int), axis=0)
    if how == "several":
        return frame.set_index(["symbol", "time"])
    return frame.set_axis(pd.MultiIndex.from_product([["ES"], frame.columns]), axis=1)


def other_times(draw, frame):
    time = frame["time"]
    how = draw(st.sampled_from(["zone", "text", "mixed text", "numbers", "dates", "objects", "coarse"]))
    if how == "zone":
        return frame.assign(time=time.dt.tz_localize(draw(st.sampled_from(["UTC", "Asia/Tokyo"]))))
    if how == "text":
        return frame.assign(
            time=time.dt.strftime(draw(st.sampled_from(["%Y-%m-%dT%H:%MZ", "%d.%m.%Y", "%c"])))
        )
    if how == "mixed text":
        zones = draw(st.lists(st.sampled_from(["", "Z", "+05:30", "-0500"]), min_size=len(frame)))
        return frame.assign(time=[f"{t.isoformat()}{zone}" for t, zone in zip(time, zones, strict=False)])
    if how == "numbers":
        return frame.assign(time=time.astype("int64"))
    if how == "dates":
        return frame.assign(time=time.dt.date)
    if how == "objects":
        return frame.assign(
            time=pd.Series([t.to_pydatetime() for t in time], dtype=object, index=frame.index)
        )
    return frame.assign(time=time.astype(draw(st.sampled_from(["datetime64[s]", "datetime64[ms]"]))))


CHANGES = [foreign_cells, foreign_cells, whole_column, another_dtype, broken_prices, split_jump, other_rows]
CHANGES += [other_symbols, other_names, fewer_columns, other_index, other_times]


def is_valid(bars) -> bool:
    same = bars.symbol[1:] == bars.symbol[:-1]
    return bool(
        len(bars) > 0
        and (bars.low > 0).all()
        and (bars.low <= np.minimum(bars.open, bars.close)).all()
        and (bars.high >= np.maximum(bars.open, bars.close)).all()
        and np.isfinite(bars.high).all()
        and not np.isnat(bars.time).any()
        and (np.diff(bars.time)[same] > np.timedelta64(0)).all()
        and (np.diff(bars.symbol) >= 0).all()
        and (np.diff(bars.segment) >= 0).all()
        and (np.diff(bars.segment)[~same] == 1).all()
        and set(bars.symbol) == set(range(len(bars.symbols)))
    )


def is_listed(found, rows: int) -> bool:
    """Whether there are violations, each with a row of the table, or the table, and a rule."""
    return len(found) > 0 and set(found["rule"]) <= set(RULES) and found["row"].between(-1, rows - 1).all()


def content(frame) -> list[str]:
    """All of a table as text: pandas compares no signalling NaN, and a copy shares its lists."""
    if not isinstance(frame, pd.DataFrame):
        return []
    columns = [frame.iloc[:, at] for at in range(frame.shape[1])]
    return [f"{name!r} {column.dtype} {list(column)!r}" for name, column in zip(frame, columns, strict=True)]


def made(make, table, **how) -> tuple[Bars | None, ValueError | None]:
    try:
        return make(table, **how), None
    except ValueError as error:
        return None, error


def is_refusal(error) -> bool:
    return isinstance(error, BarsError) and REFUSAL.fullmatch(str(error)) is not None


def holds_for_table(frame, how) -> None:
    before, rows = content(frame), len(frame)
    found = check_bars(frame, **how)
    bars, error = made(make_bars, frame, **how)
    if bars is None:
        assert is_refusal(error), error
        assert is_listed(error.violations, rows)
        pd.testing.assert_frame_equal(error.violations, found)
    else:
        assert len(found) == 0
        assert len(bars) == rows
        assert is_valid(bars)
    for repair in ("clip", "drop"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BarsRepaired)
            bars, error = made(make_bars, frame, repair=repair, **how)
        assert is_refusal(error) if bars is None else is_valid(bars)
    assert content(frame) == before


def holds_for_file(path, how) -> None:
    bars, error = made(read_bars, path, **how)
    if bars is None:
        assert is_refusal(error) or str(error).startswith("bars: want a readable"), error
    else:
        assert is_valid(bars)


ways = st.fixed_dictionaries(
    {},
    optional={
        "symbol_column": st.sampled_from([None, "symbol", "session", "ticker"]),
        "segment_column": st.sampled_from([None, "session", ["session", "symbol"], "missing"]),
    },
)


def arrow_of(frame):
    """The frame as an Arrow table; pyarrow asks pandas for values in a way that pandas 3.1 deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return pa.Table.from_pandas(frame)


def written(path, frame, form, text) -> bool:
    """Writes a table as a file of some form; says whether it can be."""
    try:
        if form == "parquet":
            pq.write_table(arrow_of(frame), path)
        else:
            separator = ";" if form == "semicolons" else ","
            cells = frame.to_csv(index=form == "indexed csv", sep=separator).encode("utf-8", "surrogatepass")
            at = min(text[0], len(cells)) if form == "broken csv" else 0
            path.write_bytes(cells[:at] + text[1] * (form == "broken csv") + cells[at:])
    except FUTILE:
        return False
    return True


def check(folder, frame, how, form, text) -> None:
    """Checks a table in one of the forms it can come in; one that has no such form, as it is."""
    path = folder / ("bars.parquet" if form == "parquet" else "bars.csv")
    if form == "arrow":
        with contextlib.suppress(*FUTILE):
            frame = arrow_of(frame)
    if form not in ("arrow", "pandas") and written(path, frame, form, text):
        holds_for_file(path, how)
    else:
        holds_for_table(frame, how)


forms = st.sampled_from(
    ["pandas", "pandas", "pandas", "arrow", "parquet", "csv", "indexed csv", "semicolons", "broken csv"]
)
texts = st.tuples(
    st.integers(0, 800),
    st.one_of(st.binary(max_size=3), st.sampled_from([b",", b"\n", b'"', b"\xff\xfe", b"1e999"])),
)
MIXED = "ignore:The DataFrame has column names of mixed type:UserWarning"  # pyarrow, of what the test made
ROOMY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@pytest.mark.filterwarnings(MIXED)
@settings(max_examples=200, deadline=None, suppress_health_check=ROOMY)
@given(tables(), ways, forms, texts)
def test_a_bad_table_is_refused_with_row_and_rule_or_its_bars_are_valid(tmp_path, frame, how, form, text):
    check(tmp_path, frame, how, form, text)


@pytest.mark.slow
@pytest.mark.filterwarnings(MIXED)
@settings(max_examples=10_000, deadline=None, suppress_health_check=ROOMY)
@given(tables(), ways, forms, texts)
def test_ten_thousand_bad_tables(tmp_path, frame, how, form, text):
    check(tmp_path, frame, how, form, text)
