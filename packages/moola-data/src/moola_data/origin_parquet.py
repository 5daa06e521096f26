"""The brief's own labelled Parquet: one row a label, each with the raw prices of its window.

Columns: ``window_id``, ``features`` (K bars of open, high, low, close), ``expansion_start``,
``expansion_end`` (both inclusive, within the window) and ``label`` (what came before the expansion);
further columns are left alone. A window with several expansions has several rows, ``<id>_exp_1``,
``<id>_exp_2``, with the same prices; a copy shifted by 52 bars is called ``<id>_offset+52`` or
``<id>_offset-52``, the unshifted one ``<id>_offset0``.

The file holds no times and no bars before a window. So the bars that come out have no time (NaT), and
features computed on them start cold at every window's first bar.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from moola_data._arrays import Arr, Boundary
from moola_data.bar_lookup import cell
from moola_data.bars import make_bars
from moola_data.schema import Bars, Spans
from moola_data.spans import Int
from moola_data.spans_file import TYPES
from moola_data.violations import BarsError

COLUMNS = ("window_id", "features", "expansion_start", "expansion_end", "label")
NAME = re.compile(r"(?P<base>.+?)(?:_exp_\d+)?(?:_offset(?P<offset>[+-]?\d+))?")


class ColdFeaturesWarning(UserWarning):
    """Features of these bars know nothing from before their window."""


class OriginWindows(Boundary):
    """The windows of a labelled Parquet as bars, one segment a window."""

    bars: Bars
    """All windows one after the other, each a segment of its own; times are NaT."""
    spans: Spans
    starts: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    length: int
    group: Annotated[npt.NDArray[np.int64], Arr("i8", ("n",))]
    """Number of the underlying window, the same for its shifted copies: they share bars."""
    names: tuple[str, ...]
    """Window names as in the file; without `_exp_k` where rows were united."""

    def __len__(self) -> int:
        return len(self.starts)


def read_origin(
    path: str | os.PathLike[str],
    *,
    types: Sequence[str] = TYPES,
    rows: Literal["window", "span"] = "window",
) -> OriginWindows:
    """Reads the brief's labelled Parquet. Warns that features will start cold.

    Args:
        path: A ``.parquet`` file.
        types: The class names that ``label`` may hold, in class order.
        rows: "window": the rows of a window become one window with several spans. "span": every row stays a
            window with its one span, as the brief trained: rows of one window then contradict each other.

    Returns:
        The windows, in the order of their first rows.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing; a name, a label, a position or a price does not fit; a span stands
            twice; or rows of one window differ in their prices.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"origin: want a file, got {file}")
    try:
        table: pd.DataFrame = pq.read_table(file).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"origin: want a readable .parquet file, got {file}: {error}") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValueError(f"origin: want columns {', '.join(COLUMNS)}, got no {missing[0]!r}")
    if not len(table):
        raise ValueError("origin: want at least 1 row, got 0")
    prices = _prices(table["features"])
    length = prices.shape[1]
    base, offset = _names(table["window_id"])
    names, window = _windows(base, offset, table["window_id"], prices, rows=rows)
    start, end = _positions(table, length)
    kind = _types(table["label"], tuple(types))
    again = pd.DataFrame({"w": window, "s": start, "e": end}).duplicated().to_numpy()
    if again.any():
        row = int(np.flatnonzero(again)[0])
        raise ValueError(f"origin: want each span once, got {start[row]}..{end[row]} again in row {row}")

    first_row = np.unique(window, return_index=True)[1]
    starts = np.arange(len(first_row), dtype=np.int64) * length
    bars = _bars(prices[first_row], first_row, source=f"{file.name}: cut windows, features start cold")
    warnings.warn(
        f"{file.name} holds {len(starts)} windows without the bars before them: features start cold in each",
        ColdFeaturesWarning,
        stacklevel=2,
    )
    order = np.lexsort((end, start, window))
    return OriginWindows(
        bars=bars,
        spans=Spans(
            start=(starts[window] + start)[order],
            end=(starts[window] + end)[order],
            type=kind[order],
            weight=np.ones(len(table), np.float32),
            type_names=tuple(types),
            label="expansion",
        ),
        starts=starts,
        length=length,
        group=pd.factorize(base)[0].astype(np.int64)[first_row],
        names=names,
    )


def _prices(column: pd.Series) -> npt.NDArray[np.float64]:
    """Stacks the windows, (rows, K, 4)."""
    windows: list[npt.NDArray[np.float64]] = []
    for row, window in enumerate(column):
        try:
            bars = np.array([np.asarray(bar, np.float64) for bar in window])
        except (TypeError, ValueError):
            bars = np.empty(0)
        if bars.ndim != 2 or bars.shape[1] != 4:
            raise ValueError(f"features: want bars of 4 prices, got shape {bars.shape} in row {row}")
        if len(bars) != len(windows[0] if windows else bars):
            raise ValueError(
                f"features: want {len(windows[0])} bars as in row 0, got {len(bars)} in row {row}"
            )
        windows.append(bars)
    return np.stack(windows)


def _names(column: pd.Series) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Takes names apart: the underlying window, and the shift ("" if the name says none)."""
    base, offset = [], []
    for row, name in enumerate(column):
        match = NAME.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            raise ValueError(f"window_id: want a name, got {cell(column, row)!r} in row {row}")
        base.append(match["base"])
        offset.append("" if match["offset"] is None else f"_offset{match['offset']}")
    return np.array(base, object), np.array(offset, object)


def _windows(
    base: npt.NDArray[np.object_],
    offset: npt.NDArray[np.object_],
    names: pd.Series,
    prices: npt.NDArray[np.float64],
    *,
    rows: Literal["window", "span"],
) -> tuple[tuple[str, ...], Int]:
    """Numbers the windows by row, and names them."""
    if rows == "span":
        return tuple(names), np.arange(len(names), dtype=np.int64)
    window, found = pd.factorize(base + offset)
    first = np.unique(window, return_index=True)[1]
    differs = (prices != prices[first[window]]).any(axis=(1, 2))
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        twin = int(first[window[row]])
        raise ValueError(f"features: want the prices of row {twin}, the same window, got others in row {row}")
    return tuple(str(name) for name in found), window.astype(np.int64)


def _positions(table: pd.DataFrame, length: int) -> tuple[Int, Int]:
    ends = []
    for name in ("expansion_start", "expansion_end"):
        value = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
        bad = np.flatnonzero(~((value >= 0) & (value < length) & (value == np.floor(value))))
        if bad.size:
            found = table[name].iloc[bad[0]]
            raise ValueError(f"{name}: want a bar in 0..{length - 1}, got {found} in row {bad[0]}")
        ends.append(value.astype(np.int64))
    start, end = ends
    bad = np.flatnonzero(end < start)
    if bad.size:
        row = bad[0]
        raise ValueError(f"expansion_end: want at least {start[row]}, got {end[row]} in row {row}")
    return start, end


def _types(column: pd.Series, names: tuple[str, ...]) -> Int:
    found = [names.index(label) if label in names else -1 for label in column]
    if -1 in found:
        row = found.index(-1)
        raise ValueError(f"label: want one of {names}, got {cell(column, row)!r} in row {row}")
    return np.array(found, np.int64)


def _bars(prices: npt.NDArray[np.float64], first_row: Int, *, source: str) -> Bars:
    windows, length, _ = prices.shape
    table = pd.DataFrame(prices.reshape(-1, 4), columns=["open", "high", "low", "close"])
    # The check wants ascending times; they are taken away again, as the file has none.
    table["time"] = np.arange(len(table)).astype("M8[s]")
    table["window"] = np.repeat(np.arange(windows), length)
    try:
        bars = make_bars(table, segment_column="window", source=source)
    except BarsError as error:
        bar, rule, value = error.violations.iloc[0].tolist()
        row = first_row[bar // length]
        raise ValueError(
            f"features: want checked bars, got {rule} ({value}) at bar {bar % length} in row {row}"
        ) from error
    return bars.model_copy(update={"time": np.full(len(bars), np.datetime64("NaT"), "M8[ns]")})
