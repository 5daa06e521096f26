"""The same file read, and nothing else."""

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from bar_file import bar_file

VERSIONS = ["pandas", "pyarrow"]


def prepare() -> Path:
    return bar_file()


def once(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)
