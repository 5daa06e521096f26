"""The needed columns of a CSV or Parquet file, numbers and dates as exact as they are written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from moola_data._frame import PRICES, TIMES, find

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What other programs put between columns."""


def read_table(path: Path, *, names: Sequence[str]) -> pd.DataFrame:
    """Reads the price and time columns, and those named, of a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Its ending is unknown, or the content is not what the ending says.
    """
    import pyarrow as pa

    if not path.is_file():
        raise FileNotFoundError(f"bars: want a file, got {path}")
    ending = "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]).lower()
    if ending not in (".csv", ".csv.gz", ".parquet", ".pq"):
        raise ValueError(f"bars: want a .csv, .csv.gz, .parquet or .pq file, got {path}")
    try:
        if ending in (".parquet", ".pq"):
            return _read_parquet(path, names)
        refuse_separators(path)
        return parse_csv(path, names=names)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"bars: want a readable {ending} file, got {path}: {error}") from error


def parse_csv(file: Path | bytes, *, names: Sequence[str]) -> pd.DataFrame:
    """Parses CSV with a header; columns in `names` stay text, so that a symbol NA is a symbol."""
    import pyarrow as pa
    from pyarrow import csv

    def source() -> str | io.BytesIO:
        return str(file) if isinstance(file, Path) else io.BytesIO(file)

    with csv.open_csv(source()) as reader:
        header = reader.schema.names
    used = [header[at] for at in find(header, (*PRICES, *TIMES, *names))]
    if len(set(used)) < len(used):
        raise ValueError(f"want each column once, got {', '.join(used)}")
    words = dict.fromkeys((header[at] for at in find(header, names)), pa.string())
    # Without a column of use the first one still tells how many rows there are.
    options = csv.ConvertOptions(include_columns=used or header[:1], column_types=words)
    table: pd.DataFrame = csv.read_csv(source(), convert_options=options).to_pandas(date_as_object=False)
    texts = [
        name for name in table.columns if find([name], PRICES) and pd.api.types.is_string_dtype(table[name])
    ]
    return table.assign(**{name: _numbers_among(table[name]) for name in texts})


def refuse_separators(path: Path) -> None:
    """Refuses a CSV file whose header has no comma but what other programs put in its place.

    Args:
        path: The file, compressed or not.

    Raises:
        ValueError: Semicolons, tabs or bars stand between the names.
    """
    import pyarrow as pa

    with pa.input_stream(str(path)) as stream:
        header = stream.read(4096).partition(b"\n")[0].decode(errors="replace").strip()
    for separator, called in SEPARATORS.items():
        if separator in header and "," not in header:
            raise ValueError(f"want columns with commas between, got {called}: {header[:60]!r}")


def _numbers_among(text: pd.Series) -> pd.Series:
    """Parses what is a number in a column of text, so that only the rest is refused."""
    number = pd.to_numeric(text, errors="coerce").astype(object)
    return number.where(number.notna(), text)


def _read_parquet(path: Path, names: Sequence[str]) -> pd.DataFrame:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        header = file.schema_arrow.names
        used = [header[at] for at in find(header, (*PRICES, *TIMES, *names))]
        table: pd.DataFrame = file.read(columns=used, use_pandas_metadata=True).to_pandas(
            date_as_object=False
        )
    return table
