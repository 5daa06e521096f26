"""Bars of a market, checked, out of a table or a file."""

from __future__ import annotations

import dataclasses
import datetime
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data._frame import PRICES, TABLE, Frame, Reading, barrier_names, read_frame
from moola_data._table_file import read_table
from moola_data.schema import Bars
from moola_data.violations import BarsError, grouping, list_violations

Repair = Literal["none", "clip", "drop"]
Scalar = TypeVar("Scalar", bound=np.generic)
CLIPPED = ("high < low", "high < max(open, close)", "low > min(open, close)")


class BarsRepaired(UserWarning):
    """Bars were repaired because the caller asked for it.

    Attributes:
        violations: What was repaired: columns `row`, `rule`, `value`, as of `check_bars`.
    """

    def __init__(self, message: str, violations: pd.DataFrame) -> None:
        super().__init__(message)
        self.violations = violations


def make_bars(
    frame: Frame,
    *,
    symbol_column: str | None = "symbol",
    source: str = "",
    gap: datetime.timedelta | None = None,
    segment_column: str | Sequence[str] | None = None,
    repair: Repair = "none",
) -> Bars:
    """Makes bars out of a table after checking every row.

    Columns are found by name, whatever their case: open, high, low, close, one of time, timestamp, date or
    datetime (or a DatetimeIndex), and the symbol. Times with a zone are converted to UTC, times without one
    are taken as they stand. Rows are regrouped by symbol, in the order in which the symbols first appear;
    within a symbol their order is kept, and must be that of time.

    Args:
        frame: A pandas table, or any table that exports Arrow (polars, pyarrow). It is not changed.
        symbol_column: Column that tells the symbols apart; None takes the table as one symbol. The default
            "symbol" may be missing, any other name must be there.
        source: Where the bars come from.
        gap: A longer time from one bar to the next starts a new segment: a session break, a hole in the data.
        segment_column: Column or columns, such as session or contract: every change starts a new segment.
        repair: "clip" raises the high and lowers the low to span the bar, "drop" leaves out every row that
            breaks a rule; what was done is told by a `BarsRepaired` warning and in `source`. What the repair
            does not cure is refused as ever.

    Returns:
        The bars; segments also change with the symbol.

    Raises:
        BarsError: The table breaks a rule; the error carries all violations.
        TypeError: `frame` is no table.
        ValueError: `gap` is not positive.

    >>> table = pd.DataFrame({"Date": ["2024-01-02", "2024-01-03"], "Open": [1.0, 2.0], "High": [2.0, 2.5],
    ...                       "Low": [1.0, 1.5], "Close": [1.5, 2.0]})
    >>> bars = make_bars(table)
    >>> len(bars), bars.close.tolist(), bars.time[0]
    (2, [1.5, 2.0], np.datetime64('2024-01-02T00:00:00.000000000'))
    """
    if gap is not None and gap <= datetime.timedelta(0):
        raise ValueError(f"gap: want a positive time, got {gap}")
    reading = read_frame(frame, symbol_column=symbol_column, segment_column=segment_column)
    violations = list_violations(reading)
    wanted = np.zeros(len(violations), bool)
    if repair == "clip":
        wanted = violations["rule"].isin(CLIPPED).to_numpy()
    elif repair == "drop":
        wanted = violations["row"].to_numpy() != TABLE
    cured = violations[wanted].reset_index(drop=True)
    if len(cured):
        reading, violations = _repair(reading, cured, repair)
    if len(violations):
        raise BarsError(source or "frame", violations)
    return _bars(reading, _tell(source, cured, repair) if len(cured) else source, gap)


def read_bars(
    path: str | os.PathLike[str],
    *,
    symbol_column: str | None = "symbol",
    source: str | None = None,
    gap: datetime.timedelta | None = None,
    segment_column: str | Sequence[str] | None = None,
    repair: Repair = "none",
) -> Bars:
    """Reads bars from a CSV or Parquet file, by its ending; only the needed columns are read.

    Args:
        path: A file ending in .csv, .csv.gz, .parquet or .pq.
        symbol_column: As in `make_bars`; in CSV a symbol is text, whatever it looks like.
        source: Where the bars come from; the file's name unless given.
        gap: As in `make_bars`.
        segment_column: As in `make_bars`.
        repair: As in `make_bars`.

    Returns:
        The bars.

    Raises:
        FileNotFoundError: There is no such file.
        BarsError: The file breaks a rule; row 0 is the first below the header.
        ValueError: The file is of another kind or cannot be read as what its ending says.
    """
    file = Path(path)
    names = [] if symbol_column is None else [symbol_column]
    table = read_table(file, names=[*names, *barrier_names(segment_column)])
    return make_bars(
        table,
        symbol_column=symbol_column,
        source=file.name if source is None else source,
        gap=gap,
        segment_column=segment_column,
        repair=repair,
    )


def _repair(reading: Reading, cured: pd.DataFrame, repair: Repair) -> tuple[Reading, pd.DataFrame]:
    """Returns the repaired columns and what is still wrong with them, by the rows of the table as given."""
    rows = np.unique(cured["row"].to_numpy(np.int64))
    if repair == "clip":
        prices = {name: price.copy() for name, price in reading.prices.items()}
        sides = np.stack([prices[name][rows] for name in PRICES])
        prices["high"][rows], prices["low"][rows] = np.fmax.reduce(sides), np.fmin.reduce(sides)
        rest = dataclasses.replace(reading, prices=prices)
        return rest, list_violations(rest)
    kept = np.setdiff1d(np.arange(len(reading.time)), rows)
    codes, seen = pd.factorize(reading.codes[kept])  # the first row of a symbol may be gone, or all of them
    rest = Reading(
        time=reading.time[kept],
        prices={name: price[kept] for name, price in reading.prices.items()},
        symbol=codes.astype(np.int32),
        symbols=tuple(reading.symbols[code] for code in seen),
        barrier=[codes[kept] for codes in reading.barrier],
        written=None if reading.written is None else reading.written.iloc[kept],
        found=[part for part in reading.found if part[0][0] == TABLE],
    )
    if not len(kept):
        rest.refuse([TABLE], "no rows", ["0"])
    violations = list_violations(rest)
    place = violations["row"].to_numpy()
    return rest, violations.assign(
        row=np.where(place == TABLE, TABLE, kept[np.maximum(place, 0)]) if len(kept) else place
    )


def _tell(source: str, cured: pd.DataFrame, repair: Repair) -> str:
    counts = cured["rule"].value_counts(sort=False)
    rows = cured["row"].nunique()
    done = {"clip": "clipped", "drop": "dropped"}[repair]
    told = (
        f"{rows} row{'s' if rows > 1 else ''} {done} ("
        + ", ".join(f"{k}: {n}" for k, n in counts.items())
        + ")"
    )
    warnings.warn(BarsRepaired(f"{source or 'frame'}: {told}", cured), stacklevel=3)
    return f"{source}, {told}" if source else told


def _bars(reading: Reading, source: str, gap: datetime.timedelta | None) -> Bars:
    order = grouping(reading)

    def sorted_(column: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        return np.array(column if order is None else column[order], order="C")  # the table stays the user's

    time, symbol = sorted_(reading.time), sorted_(reading.codes)
    change = symbol[1:] != symbol[:-1]
    if gap is not None:
        change |= np.diff(time) > np.timedelta64(gap).astype("m8[ns]").astype(np.int64)
    for codes in reading.barrier:
        grouped = sorted_(codes)
        change |= grouped[1:] != grouped[:-1]
    segment = np.zeros(len(time), np.int64)
    np.cumsum(change, out=segment[1:])
    return Bars(
        time=time.view("M8[ns]"),
        **{name: sorted_(reading.prices[name]) for name in PRICES},
        symbol=symbol,
        segment=segment,
        symbols=reading.symbols,
        source=source,
    )
