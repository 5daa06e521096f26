"""Spans from and to CSV, Parquet or a data frame.

A spans table has one row a span: ``start`` and ``end``, both inclusive, and optionally ``type``,
``symbol``, ``weight``, ``annotator`` and ``label``. The ends are either whole numbers or timestamps:

* numbers without a ``symbol`` column: row numbers of the `Bars` (sorted by symbol, then time);
* numbers with a ``symbol``: row numbers within the bars of that symbol, which stay true when other
  symbols are added or removed;
* timestamps: times of bars, hit exactly. With a time zone they are brought to UTC. Bars of several symbols
  need the ``symbol`` column.

An empty ``type`` means that the span has none. Row numbers in errors count data rows from 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from moola_data._atomic_file import write_atomically
from moola_data._table_file import refuse_separators
from moola_data.bar_lookup import bar_numbers, cell, first_bars, symbol_numbers
from moola_data.schema import Bars, Spans
from moola_data.spans import Int, check_spans

TYPES = ("consolidation", "retracement")
"""What came before an expansion, in the order of the class numbers."""
COLUMNS = ("symbol", "start", "end", "label", "type", "weight", "annotator", "score")
"""What a spans file may hold. A detector's files have a ``score``, which labels do not use."""
HEAVIEST = float(np.finfo(np.float32).max)
"""The greatest weight that a `Spans` can hold."""
Source = str | os.PathLike[str] | pd.DataFrame


def read_spans(
    source: Source,
    bars: Bars,
    *,
    types: Sequence[str] = TYPES,
    closed: Literal["both", "left"] = "both",
    annotator: str | None = None,
    label: str | None = None,
) -> Spans:
    """Reads spans and finds their bars. Nothing is snapped, clipped or skipped.

    Args:
        source: A ``.csv`` or ``.parquet`` file, or a data frame (left as it is).
        bars: The bars that were labelled.
        types: The class names that the column ``type`` may hold, in class order.
        closed: "left" if ``end`` names the first bar after the span.
        annotator: Whose spans, if the file holds those of several; "*" takes all.
        label: Which label, if the file holds several.

    Returns:
        The spans in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing or unknown; a cell is empty or unreadable; a time is not that of a
            bar; a type is unknown; a span ends before it starts, leaves the bars, crosses a barrier or
            stands twice; several annotators or labels, none chosen.
    """
    table = _load(source)
    missing = [name for name in ("start", "end") if name not in table]
    if missing:
        raise ValueError(f"spans: want columns start and end, got no {missing[0]!r} in {list(table)}")
    unknown = [name for name in table if name not in COLUMNS]
    if unknown:
        raise ValueError(f"spans: want columns among {list(COLUMNS)}, got {unknown[0]!r}")
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise ValueError(f"spans: want each column once, got {twice!r} again")
    row = np.arange(len(table))
    who, table, row = _choose(table, row, "annotator", annotator)
    what, table, row = _choose(table, row, "label", label)
    symbol = symbol_numbers(table["symbol"], bars, row=row) if "symbol" in table else None
    start = bar_numbers(table["start"], bars, symbol=symbol, row=row)
    end = bar_numbers(table["end"], bars, symbol=symbol, row=row, past_end=closed == "left")
    end = end - (closed == "left")
    backwards = np.flatnonzero(end < start)
    if backwards.size:
        i = backwards[0]
        found = f"{table['start'].iloc[i]}..{table['end'].iloc[i]}"
        raise ValueError(
            f"spans: want end {'>' if closed == 'left' else '>='} start, got {found} in row {row[i]}"
        )
    spans = Spans(
        start=start,
        end=end,
        type=_types(table, row, tuple(types)),
        weight=_weights(table, row),
        type_names=tuple(types),
        annotator=who,
        label=what,
    )
    if len(row) == 0 or row[-1] == len(row) - 1:
        check_spans(spans, bars)
        return spans
    try:
        check_spans(spans, bars)
    except ValueError as error:
        # Rows were chosen: say which row of the file, not which of the chosen.
        message, _, chosen = str(error).rpartition(" in row ")
        raise ValueError(f"{message} in row {row[int(chosen)]}") from None
    return spans


def read_annotators(
    source: Source, bars: Bars, *, types: Sequence[str] = TYPES, label: str | None = None
) -> dict[str, Spans]:
    """Reads the spans of every annotator of a file.

    Args:
        source: As `read_spans`.
        bars: The bars that were labelled.
        types: As `read_spans`.
        label: As `read_spans`.

    Returns:
        Spans by annotator, in the order of their first rows; "" stands for none.

    Raises:
        ValueError: As `read_spans`.
    """
    table = _load(source)
    if "annotator" not in table:
        return {"": read_spans(table, bars, types=types, label=label)}
    names = list(dict.fromkeys(_texts(table["annotator"])))
    return {name: read_spans(table, bars, types=types, annotator=name, label=label) for name in names}


def write_spans(
    path: str | os.PathLike[str],
    spans: Spans | Sequence[Spans],
    bars: Bars,
    *,
    times: Literal["number", "time"] = "time",
    closed: Literal["both", "left"] = "both",
) -> None:
    """Writes spans so that `read_spans` (or `read_annotators`, for several) gives them back.

    Args:
        path: A ``.csv`` or ``.parquet`` file; replaced in one step if it exists.
        spans: Spans on these bars, of one annotator or of several.
        bars: The bars.
        times: Whether the ends are written as bar numbers or as the bars' times.
        closed: "left" writes the first bar after a span as its end, for readers that want it so.

    Raises:
        ValueError: The spans do not fit the bars, the name ends otherwise, or no bar comes after a span.
    """
    several = [spans] if isinstance(spans, Spans) else list(spans)
    table = pd.concat(
        [spans_table(one, bars, times=times, closed=closed) for one in several], ignore_index=True
    )
    for name in ("type", "annotator", "label"):
        if (table[name] == "").all():
            table = table.drop(columns=name)
    if len(bars.symbols) == 1:
        table = table.drop(columns="symbol")
    target = Path(path)
    if target.suffix not in (".csv", ".parquet"):
        raise ValueError(f"path: want a name ending in .csv or .parquet, got {target.name!r}")
    if target.suffix == ".csv":
        content = table.to_csv(index=False, lineterminator="\n").encode()
    else:
        content = table.to_parquet(index=False)
    write_atomically(target, content)


def spans_table(
    spans: Spans,
    bars: Bars,
    *,
    times: Literal["number", "time"] = "time",
    closed: Literal["both", "left"] = "both",
) -> pd.DataFrame:
    """Gives spans as a table of the columns of a spans file.

    Args:
        spans: Spans on these bars.
        bars: The bars.
        times: Whether the ends are bar numbers within the symbol or the bars' times.
        closed: "left" gives the first bar after a span as its end.

    Returns:
        One row a span; an unknown type is "".

    Raises:
        ValueError: The spans do not fit the bars, or the time of a bar is wanted that comes after the last.
    """
    check_spans(spans, bars)
    symbol = bars.symbol[spans.start]
    first, end = first_bars(bars), spans.end + (closed == "left")
    if times == "number":
        ends: tuple[npt.NDArray[np.generic], ...] = (spans.start - first[symbol], end - first[symbol])
    else:
        last = np.flatnonzero(end == first[symbol + 1])
        if last.size:
            found = f"{spans.start[last[0]]}..{spans.end[last[0]]} in row {last[0]}"
            raise ValueError(
                f'spans: want a bar after each (or times="number") for closed="left", got {found}'
            )
        ends = (bars.time[spans.start], bars.time[end])
    return pd.DataFrame(
        {
            "symbol": np.array(bars.symbols, object)[symbol],
            "start": ends[0],
            "end": ends[1],
            "label": spans.label,
            "type": np.array([*spans.type_names, ""], object)[spans.type],
            # Through text: a CSV should say 0.3, not 0.30000001192092896.
            "weight": spans.weight.astype(str).astype(np.float64),
            "annotator": spans.annotator,
        }
    )


def type_names(*sources: Source) -> tuple[str, ...]:
    """Lists what the columns ``type`` of spans files say: for files whose types nobody has listed beforehand.

    Args:
        sources: Files or data frames, as of `read_spans`.

    Returns:
        Every name once, in the order of the rows; none where there is no such column.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file cannot be read.

    >>> type_names(pd.DataFrame({"start": [3, 9], "end": [7, 12], "type": ["breakout", "pullback"]}))
    ('breakout', 'pullback')
    """
    tables = [_load(source) for source in sources]
    names = (name for table in tables if "type" in table for name in _texts(table["type"]))
    return tuple(dict.fromkeys(name for name in names if name))


def _load(source: Source) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"spans: want a file, got {path}")
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"spans: want a .csv or .parquet file, got {path}")
    try:
        if path.suffix == ".parquet":
            cells = pq.read_table(path)
        else:
            refuse_separators(path)
            with csv.open_csv(path) as reader:
                columns = reader.schema.names
            # As text, so that nothing is guessed before a row can be named.
            options = csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()))
            cells = csv.read_csv(path, convert_options=options)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"spans: want a readable {path.suffix} file, got {path}: {error}") from error
    table: pd.DataFrame = cells.to_pandas()
    return table


def _choose(table: pd.DataFrame, row: Int, column: str, chosen: str | None) -> tuple[str, pd.DataFrame, Int]:
    """Keeps the rows of one annotator (or label) and gives its name."""
    if column not in table:
        if chosen not in (None, "", "*"):
            raise ValueError(f"{column}: want {chosen!r}, got a file without a column {column!r}")
        return "", table, row
    values = np.array(_texts(table[column]), object)
    names = list(dict.fromkeys(values.tolist()))
    if chosen == "*":
        return "+".join(names), table, row
    if chosen is None:
        if len(names) > 1:
            raise ValueError(f"{column}: want one of {names} chosen, got None")
        return (names[0] if names else ""), table, row
    if chosen not in names:
        raise ValueError(f"{column}: want one of {names}, got {chosen!r}")
    keep = values == chosen
    return chosen, table[keep], row[keep]


def _texts(column: pd.Series) -> list[str]:
    """Gives cells as text, missing ones as the empty text."""
    return ["" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


def _types(table: pd.DataFrame, row: Int, names: tuple[str, ...]) -> Int:
    if "type" not in table:
        return np.full(len(table), -1, np.int64)
    number = {name: i for i, name in enumerate(names)} | {"": -1}
    found = [number.get(name) for name in _texts(table["type"])]
    if None in found:
        i = found.index(None)
        raise ValueError(f"type: want one of {names}, got {cell(table['type'], i)!r} in row {row[i]}")
    return np.array(found, np.int64)


def _weights(table: pd.DataFrame, row: Int) -> npt.NDArray[np.float32]:
    if "weight" not in table:
        return np.ones(len(table), np.float32)
    # Through text, which to_numeric reads or coerces; of whole numbers it refuses the greatest without a row.
    texts = pd.Series(_texts(table["weight"]), dtype=object)
    weight = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~((weight >= 0) & (weight <= HEAVIEST)))
    if bad.size:
        i = int(bad[0])
        wanted = f"a number >= 0, at most {HEAVIEST:.1e}"
        raise ValueError(f"weight: want {wanted}, got {cell(table['weight'], i)!r} in row {row[i]}")
    return weight.astype(np.float32)
