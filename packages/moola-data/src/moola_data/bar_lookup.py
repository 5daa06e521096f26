"""Finds the bars that the cells of a table name, by number or by time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.schema import Bars

Int = npt.NDArray[np.int64]


def cell(column: pd.Series, i: int) -> object:
    """Gives a cell of a table as a plain Python value, for errors: 3.5, not np.float64(3.5)."""
    value = column.iloc[i]
    return value.item() if isinstance(value, np.generic) else value


def first_bars(bars: Bars) -> Int:
    """Gives the first bar of each symbol, and behind them the number of bars.

    Args:
        bars: The bars.

    Returns:
        Bar numbers, i8 (symbols + 1,).
    """
    return np.searchsorted(bars.symbol, np.arange(len(bars.symbols) + 1)).astype(np.int64)


def symbol_numbers(column: pd.Series, bars: Bars, *, row: Int) -> Int:
    """Finds the symbol of every cell.

    Args:
        column: Names of symbols.
        bars: The bars.
        row: Row number of each cell, for errors.

    Returns:
        Index into `bars.symbols`, i8 (cells,).

    Raises:
        ValueError: The bars have no such symbol.
    """
    number = {name: i for i, name in enumerate(bars.symbols)}
    found = [number.get(str(name), -1) for name in column]
    if -1 in found:
        i = found.index(-1)
        raise ValueError(f"symbol: want one of {bars.symbols}, got {cell(column, i)!r} in row {row[i]}")
    return np.array(found, np.int64)


def bar_numbers(
    column: pd.Series, bars: Bars, *, symbol: Int | None, row: Int, past_end: bool = False
) -> Int:
    """Finds the bar of every cell. The first cell says whether the column holds numbers or times.

    Args:
        column: Whole numbers, or times (ISO 8601 where they are text); brought to UTC if they have a zone.
        bars: The bars.
        symbol: Symbol of each cell, in which numbers count; None counts over all bars.
        row: Row number of each cell, for errors.
        past_end: Whether the number behind the last bar counts too.

    Returns:
        Bar numbers, i8 (cells,).

    Raises:
        ValueError: A cell is empty or unreadable, or there is no such bar.
    """
    text = column.astype(str).str.strip()
    empty = np.flatnonzero(column.isna().to_numpy() | text.isin(["", "nan", "NaN", "NaT", "None"]).to_numpy())
    if empty.size:
        raise ValueError(f"{column.name}: want a bar, got an empty cell in row {row[empty[0]]}")
    # A float column holds whole numbers too where a cell was once missing: 5.0 is 5.
    whole = text.str.fullmatch(r"[+-]?\d{1,18}(\.0*)?").to_numpy(bool)
    if pd.api.types.is_datetime64_any_dtype(column) or not (whole.size and whole[0]):
        return _bars_at(column, bars, symbol=symbol, row=row)
    if not whole.all():
        i = int(np.flatnonzero(~whole)[0])
        raise ValueError(f"{column.name}: want a whole bar number, got {cell(column, i)!r} in row {row[i]}")
    number = text.str.replace(r"\.0*$", "", regex=True).astype(np.int64).to_numpy()
    first = first_bars(bars)
    low = np.zeros(len(number), np.int64) if symbol is None else first[symbol]
    high = np.full(len(number), len(bars)) if symbol is None else first[symbol + 1]
    outside = np.flatnonzero((number < 0) | (number >= high - low + past_end))
    if outside.size:
        i = int(outside[0])
        of = "" if symbol is None else _of(bars, symbol[i])
        wanted = f"a bar in 0..{high[i] - low[i] - 1 + past_end}{of}"
        raise ValueError(f"{column.name}: want {wanted}, got {number[i]} in row {row[i]}")
    return (number + low).astype(np.int64)


def _bars_at(column: pd.Series, bars: Bars, *, symbol: Int | None, row: Int) -> Int:
    if symbol is None:
        if len(bars.symbols) > 1:
            raise ValueError(f"symbol: want a column, as the bars have symbols {bars.symbols}, got none")
        symbol = np.zeros(len(column), np.int64)
    # Through text, so that a number among the times is not taken for nanoseconds.
    cells = column if pd.api.types.is_datetime64_any_dtype(column) else column.astype(str).str.strip()
    parsed = pd.to_datetime(cells, errors="coerce", utc=True, format="ISO8601")
    time = parsed.dt.tz_localize(None).to_numpy().astype("M8[ns]")
    if not pd.api.types.is_datetime64_any_dtype(column):
        zoned = cells.str.contains(r"(?:[Zz]|[+-]\d{2}:?\d{2})$", regex=True).to_numpy()
        if zoned.any() and not zoned.all():
            i = int(np.flatnonzero(zoned != zoned[0])[0])
            wanted = "times that all have a zone, or none"
            raise ValueError(f"{column.name}: want {wanted}, got {cell(column, i)!r} in row {row[i]}")
    unreadable = np.flatnonzero(np.isnat(time))
    if unreadable.size:
        i = int(unreadable[0])
        wanted = "a whole bar number or an ISO 8601 time"
        raise ValueError(f"{column.name}: want {wanted}, got {cell(column, i)!r} in row {row[i]}")
    first = first_bars(bars)
    number = np.empty(len(time), np.int64)
    for one in np.unique(symbol):
        mine = symbol == one
        number[mine] = first[one] + np.searchsorted(bars.time[first[one] : first[one + 1]], time[mine])
    hit = number < first[symbol + 1]
    hit[hit] = bars.time[number[hit]] == time[hit]
    if not hit.all():
        i = int(np.flatnonzero(~hit)[0])
        wanted = f"the time of a bar{_of(bars, symbol[i])}"
        raise ValueError(f"{column.name}: want {wanted}, got {column.iloc[i]} in row {row[i]}")
    return number


def _of(bars: Bars, symbol: np.integer) -> str:
    """Says whose bars are meant, if their symbol has a name."""
    name = bars.symbols[symbol]
    return f" of {name}" if name else ""
