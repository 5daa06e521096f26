"""Which names the types of spans have in files, where nobody has listed them beforehand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from moola_train.recipes.table_file import ENDINGS

TYPE = "type"


def type_names(*files: Path) -> tuple[str, ...]:
    """Lists what the columns ``type`` of spans files say, every name once, in the order of the files.

    Args:
        files: CSV or Parquet. What else is wrong with one, `moola_data.read_spans` says.

    Returns:
        The names; none of a file without that column, or of one that is not there.

    Raises:
        ValueError: A file is damaged.
    """
    there = [file for file in files if file.suffix in ENDINGS and file.is_file()]
    return tuple(dict.fromkeys(name for file in there for name in _column(file)))


def _column(file: Path) -> list[str]:
    try:
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            table = pd.read_csv(file, dtype=str, keep_default_na=False, usecols=lambda name: name == TYPE)
    except (OSError, ValueError) as error:  # what pandas and Arrow raise of damaged files
        raise ValueError(f"spans: want a readable {file.suffix} file, got {file}: {error}") from error
    if TYPE not in table:
        return []
    return [str(name) for name in table[TYPE].dropna() if str(name)]
