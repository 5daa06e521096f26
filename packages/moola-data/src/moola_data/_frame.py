"""Columns out of a user's table, found by name and read without touching the table."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

PRICES = ("open", "high", "low", "close")
TIMES = ("time", "timestamp", "date", "datetime")
NAT = np.iinfo(np.int64).min
FIRST_DAY, LAST_DAY = np.datetime64("1677-09-22"), np.datetime64("2262-04-11")
"""What nanoseconds since 1970 can tell."""
ZONE = r"\d[Tt ]\d.*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
TABLE = -1
"""The row of a violation that concerns the whole table."""


@runtime_checkable
class ArrowTable(Protocol):
    """Anything that exports an Arrow stream through the PyCapsule interface, as polars does."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Frame: TypeAlias = pd.DataFrame | ArrowTable


@dataclass
class Reading:
    """The wanted columns of a table, and what was wrong with them as a table.

    Prices that are no numbers are NaN, each with its entry in `found`, and times that are no dates are NaT.
    """

    time: npt.NDArray[np.int64]
    prices: dict[str, npt.NDArray[np.float64]]
    symbol: npt.NDArray[np.int32]
    """Empty where there is one symbol."""
    symbols: tuple[str, ...]
    barrier: list[npt.NDArray[np.int64]]
    written: pd.Series | None = None
    """Times as the table has them, if it has any that are dates or text."""
    refused: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """By price column: the rows that are no numbers and already stand in `found`."""
    found: list[tuple[npt.NDArray[np.int64], str, list[str]]] = field(default_factory=list)
    """(rows, rule, values as text); row -1 is the whole table."""

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """The symbol of every row."""
        return self.symbol if len(self.symbol) else np.zeros(len(self.time), np.int32)

    def refuse(
        self, rows: Sequence[int] | npt.NDArray[np.int64], rule: str, values: Sequence[object]
    ) -> None:
        """Notes violations of one rule."""
        if len(rows):
            self.found.append((np.asarray(rows, np.int64), rule, [str(value) for value in values]))


def as_pandas(frame: Frame) -> pd.DataFrame:
    """Returns a pandas table itself, or reads an Arrow stream into one."""
    if isinstance(frame, pd.DataFrame):
        return frame
    if isinstance(frame, ArrowTable):
        import pyarrow as pa

        table: pd.DataFrame = pa.table(frame).to_pandas(date_as_object=False)
        return table
    raise TypeError(f"frame: want a pandas table or one that exports Arrow, got {type(frame).__name__}")


def barrier_names(segment_column: str | Sequence[str] | None) -> tuple[str, ...]:
    """Lists the barrier columns asked for."""
    if segment_column is None:
        return ()
    return (segment_column,) if isinstance(segment_column, str) else tuple(segment_column)


def find(columns: Sequence[Hashable], names: Sequence[str]) -> list[int]:
    """Lists the positions of the columns whose name is one of `names` but for upper and lower case."""
    wanted = {name.lower() for name in names}
    return [at for at, column in enumerate(columns) if isinstance(column, str) and column.lower() in wanted]


def read_frame(
    frame: Frame, *, symbol_column: str | None, segment_column: str | Sequence[str] | None
) -> Reading:
    """Reads time, prices, symbol and barriers out of a table, in the table's own order."""
    table = as_pandas(frame)
    n = len(table)
    reading = Reading(np.empty(0, np.int64), {}, np.empty(0, np.int32), ("",), [])

    def column(names: Sequence[str], label: str, required: bool = True) -> pd.Series | None:
        at = find(list(table.columns), names)
        if len(at) == 1:
            return _plain(table.iloc[:, at[0]])
        if len(at) > 1:
            reading.refuse([TABLE], "ambiguous column", [", ".join(str(table.columns[a]) for a in at)])
        elif required:
            reading.refuse([TABLE], "missing column", [label])
        return None

    times = column(TIMES, "time", required=not isinstance(table.index, pd.DatetimeIndex))
    if times is None and not find(list(table.columns), TIMES) and isinstance(table.index, pd.DatetimeIndex):
        times = pd.Series(table.index)
    reading.time = np.full(n, NAT) if times is None else _times(times, reading)
    for name in PRICES:
        values = column([name], name)
        if values is not None:
            reading.prices[name] = _numbers(values, name, reading)
    if symbol_column is not None:
        values = column([symbol_column], symbol_column, required=symbol_column != "symbol")
        if values is not None:
            _symbols(values, reading)
    for name in barrier_names(segment_column):
        values = column([name], name)
        if values is not None:
            values = values.mask(_strange(values), values.map(str))
            reading.barrier.append(pd.factorize(values)[0].astype(np.int64))
    if n == 0:
        reading.refuse([TABLE], "no rows", ["0"])
    return reading


def _plain(values: pd.Series) -> pd.Series:
    """Turns a column that pandas keeps in Arrow into one that it keeps in numpy."""
    if not isinstance(values.dtype, pd.ArrowDtype):
        return values
    import pyarrow as pa

    plain: pd.Series = pa.chunked_array(pa.array(values.array)).to_pandas(date_as_object=False)
    return plain


def _strange(values: pd.Series) -> npt.NDArray[np.bool_]:
    """Marks what pandas cannot compare in a column of objects, such as lists and signalling NaN."""
    if values.dtype != np.dtype(object):
        return np.zeros(len(values), bool)
    plain = (str, numbers.Real, datetime.date, type(None), type(pd.NA))
    return np.array([not isinstance(value, plain) for value in values], bool)


def _symbols(values: pd.Series, reading: Reading) -> None:
    """Numbers the symbols by their first appearance."""
    named = values.mask(_strange(values))
    codes, names = pd.factorize(named)
    empty = [name for name in names if str(name).strip() == ""]  # in a CSV a missing symbol is an empty text
    if empty:
        codes, names = pd.factorize(named.mask(named.isin(empty)))
    missing = np.flatnonzero(codes < 0)
    reading.refuse(missing, "missing symbol", values.iloc[missing].tolist())
    reading.symbol = codes.astype(np.int32)
    reading.symbols = tuple(str(name) for name in names)
    if len(set(reading.symbols)) < len(reading.symbols):
        reading.refuse([TABLE], "ambiguous symbol", [", ".join(sorted(reading.symbols))])


def _numbers(values: pd.Series, name: str, reading: Reading) -> npt.NDArray[np.float64]:
    """Reads prices; text is refused even where it could be read as a number."""
    kind = values.dtype
    text = kind == np.dtype(object) or pd.api.types.is_string_dtype(kind)
    number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    if number and not pd.api.types.is_complex_dtype(kind):
        return values.to_numpy(np.float64, na_value=np.nan)
    prices = np.full(len(values), np.nan)
    refused = reading.refused[name] = np.full(len(values), not text)
    if not text:
        reading.refuse([TABLE], "not a number", [f"{name} is {kind}"])
        return prices
    for row, value in enumerate(values):
        number = isinstance(value, numbers.Real | decimal.Decimal)
        if number and not isinstance(value, bool | np.timedelta64):  # numpy calls a length of time a number
            prices[row] = _float(value)
        else:
            refused[row] = value is not None and value is not pd.NA
    rows = np.flatnonzero(refused)
    reading.refuse(rows, "not a number", [f"{name}={values.iloc[row]!r}" for row in rows])
    return prices


def _float(value: numbers.Real | decimal.Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf
    except ValueError:  # a signalling NaN
        return np.nan


def _times(values: pd.Series, reading: Reading) -> npt.NDArray[np.int64]:
    """Reads times as nanoseconds since 1970 UTC; zone-less times are taken as they stand."""
    kind = values.dtype
    if isinstance(kind, pd.DatetimeTZDtype):
        stamps = values.dt.tz_convert("UTC").dt.tz_localize(None)
    elif pd.api.types.is_datetime64_any_dtype(kind):
        stamps = values
    elif kind == np.dtype(object) or pd.api.types.is_string_dtype(kind):
        stamps = _parse(values, reading)
    else:
        reading.refuse([TABLE], "unparsable time", [f"{kind}: want dates, or text in ISO 8601"])
        return np.full(len(values), NAT)
    coarse = stamps.to_numpy()
    if coarse.dtype != np.dtype("M8[ns]"):
        coarse = _nanoseconds(coarse)
    time: npt.NDArray[np.int64] = coarse.view(np.int64)
    reading.written = values
    return time


def _nanoseconds(coarse: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
    """Converts dates of another unit; what nanoseconds cannot tell becomes NaT."""
    from moola_data._bar_check import scale_ticks

    first, last = (int(day.astype(coarse.dtype).astype(np.int64)) for day in (FIRST_DAY, LAST_DAY))
    step = int(np.array(1, coarse.dtype.str.replace("M8", "m8")).astype("m8[ns]").astype(np.int64))
    ticks, fine = np.ascontiguousarray(coarse).view(np.int64), np.empty(len(coarse), np.int64)
    # One pass, where numpy looks for NaT at every row of its own; NaT is the least integer.
    if scale_ticks(ticks, first, last, step, fine):
        return fine.view("M8[ns]")
    inside = (coarse >= FIRST_DAY) & (coarse < LAST_DAY)
    return np.where(inside, coarse, np.datetime64("NaT")).astype("M8[ns]")


def _parse(values: pd.Series, reading: Reading) -> pd.Series:
    """Parses ISO 8601 text and date objects; where only some name a zone, the others are refused."""
    if values.dtype == np.dtype(object):
        values = pd.Series([_iso(value) for value in values], dtype=object)
    text = values.reset_index(drop=True).astype("str").str.strip()
    dated = text.str.match(r"\d{4}-?\d\d").fillna(False).astype(bool)  # else "now" would be a time
    zoned = text.str.contains(ZONE, regex=True).fillna(False).astype(bool)
    stamps = pd.to_datetime(text.where(dated), format="ISO8601", errors="coerce", utc=True)
    stamps = stamps.dt.tz_localize(None)
    parsed = stamps.notna()
    if zoned.any() and (parsed & ~zoned).any():
        rows = np.flatnonzero(parsed & ~zoned)
        reading.refuse(rows, "no time zone", text.iloc[rows].tolist())
        stamps = stamps.mask(~zoned)
    return stamps


def _iso(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, np.datetime64) else ""
