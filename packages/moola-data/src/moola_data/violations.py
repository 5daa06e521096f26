"""What is wrong with a table of bars: all of it, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data._frame import NAT, PRICES, TABLE, Frame, Reading, read_frame

Float = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Found = tuple[Rows, str, list[str]]

NO_TEXT = np.empty(0, object)
RULES = (
    "missing column",
    "ambiguous column",
    "no rows",
    "ambiguous symbol",
    "missing symbol",
    "not a number",
    "NaN",
    "infinite",
    "price <= 0",
    "high < low",
    "high < max(open, close)",
    "low > min(open, close)",
    "unparsable time",
    "no time zone",
    "unsorted time",
    "duplicate time",
)
"""Every rule a table of bars can break."""


class BarsError(ValueError):
    """A table that is no table of bars.

    Attributes:
        violations: Everything that is wrong with it: columns `row`, `rule`, `value`.
    """

    def __init__(self, source: str, violations: pd.DataFrame) -> None:
        row, rule, value = violations.iloc[0].tolist()
        place = "the table" if row == TABLE else f"row {row}"
        count = f"{len(violations)} violation{'s' if len(violations) > 1 else ''}"
        super().__init__(f"{source}: want checked bars, got {rule} ({value}) in {place}; {count} in all")
        self.violations = violations


def check_bars(
    frame: Frame,
    *,
    symbol_column: str | None = "symbol",
    segment_column: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Lists every violation in a table of bars; an empty table means that `make_bars` takes it.

    Args:
        frame: A pandas table, or any table that exports Arrow (polars, pyarrow). It is not changed.
        symbol_column: As in `make_bars`.
        segment_column: As in `make_bars`.

    Returns:
        Columns `row` (0-based row of the table as given; -1 means the whole table), `rule` (one of `RULES`)
        and `value` (what was found, as text), sorted by row.

    >>> table = pd.DataFrame({"time": ["2024-01-02", "2024-01-02"], "open": [1.0, 2.0],
    ...                       "high": [2.0, 1.0], "low": [1.0, 1.0], "close": [1.5, 1.0]})
    >>> check_bars(table)
       row                     rule                  value
    0    1  high < max(open, close)  high=1.0, largest=2.0
    1    1           duplicate time             2024-01-02
    """
    reading = read_frame(frame, symbol_column=symbol_column, segment_column=segment_column)
    return list_violations(reading)


def grouping(reading: Reading) -> Rows | None:
    """Returns the stable order that puts equal symbols together, or None where they are together already."""
    if len(reading.symbols) <= 1 or np.count_nonzero(np.diff(reading.symbol)) < len(reading.symbols):
        return None
    return np.argsort(reading.symbol, kind="stable")


def is_clean(reading: Reading, order: Rows | None) -> bool:
    """Says in one compiled pass whether the columns break no rule."""
    if reading.found:
        return False
    from moola_data._bar_check import count_bad

    columns: list[npt.NDArray[np.generic]] = [reading.time, *(reading.prices[name] for name in PRICES)]
    columns.append(reading.symbol)
    if order is not None:
        columns = [column[order] for column in columns]  # more than one symbol, so that none is empty
    bad: int = count_bad(*(np.ascontiguousarray(column) for column in columns))
    return bad == 0


def list_violations(reading: Reading) -> pd.DataFrame:
    """Lists all violations of the columns read from a table, sorted by row."""
    parts = list(reading.found)
    order = grouping(reading)
    if set(reading.prices) == set(PRICES) and is_clean(reading, order):
        return pd.DataFrame({"row": np.empty(0, np.int64), "rule": NO_TEXT, "value": NO_TEXT})
    parts += _price_violations(reading)
    parts += _time_violations(reading, order)
    table = pd.DataFrame(
        {
            "row": np.concatenate([part[0] for part in parts]),
            "rule": pd.Series([rule for found, rule, _ in parts for _ in found], dtype=object),
            "value": pd.Series([value for *_, values in parts for value in values], dtype=object),
        }
    )
    rank = {rule: at for at, rule in enumerate(RULES)}
    table = table.assign(rank=table["rule"].map(rank)).sort_values(["row", "rank"], kind="stable")
    return table.drop(columns="rank").reset_index(drop=True)


def _price_violations(reading: Reading) -> list[Found]:
    prices = reading.prices
    found: list[Found] = []

    def note(bad: npt.NDArray[np.bool_], rule: str, shown: Sequence[tuple[str, Float]]) -> None:
        rows = np.flatnonzero(bad)
        if rows.size:
            values = [[f"{name}={value!r}" for value in price[rows].tolist()] for name, price in shown]
            found.append((rows, rule, [", ".join(pair) for pair in zip(*values, strict=True)]))

    for name, price in prices.items():
        unread = np.isnan(price) & ~reading.refused.get(name, np.zeros(len(price), bool))
        note(unread, "NaN", [(name, price)])
        note(np.isinf(price), "infinite", [(name, price)])
        note((price <= 0) & np.isfinite(price), "price <= 0", [(name, price)])
    if set(prices) != set(PRICES):
        return found
    open_, high, low, close = (np.where(np.isinf(prices[name]), np.nan, prices[name]) for name in PRICES)
    top, bottom = np.fmax(open_, close), np.fmin(open_, close)
    note(high < low, "high < low", [("high", high), ("low", low)])
    note(high < top, "high < max(open, close)", [("high", high), ("largest", top)])
    note(low > bottom, "low > min(open, close)", [("low", low), ("smallest", bottom)])
    return found


def _time_violations(reading: Reading, order: Rows | None) -> list[Found]:
    """Lists unreadable times, and compares the others with the one before of the same symbol."""
    codes = reading.codes
    order = np.arange(len(reading.time)) if order is None else order
    order = order[(reading.time[order] != NAT) & (codes[order] >= 0)]
    time, symbol = reading.time[order], codes[order]
    same = symbol[1:] == symbol[:-1]
    found: list[Found] = []
    if reading.written is not None:
        zoneless = [rows for rows, rule, _ in reading.found if rule == "no time zone"]
        unread = np.setdiff1d(np.flatnonzero(reading.time == NAT), np.concatenate([*zoneless, []]))
        found.append((unread, "unparsable time", [str(time) for time in reading.written.iloc[unread]]))
    for bad, rule in ((time[1:] < time[:-1], "unsorted time"), (time[1:] == time[:-1], "duplicate time")):
        rows = order[1:][bad & same]
        if rows.size:
            stamps = reading.time[rows].view("M8[ns]")
            found.append((rows, rule, [np.datetime_as_string(stamp, "auto") for stamp in stamps]))
    return found
