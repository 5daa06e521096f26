"""A file to checked bars and their features."""

import sys
from pathlib import Path

from moola_data.bars import read_bars
from moola_data.features import compute_features
from moola_data.schema import FeatureMatrix

sys.path.insert(0, str(Path(__file__).parent))
from bar_file import bar_file

VERSIONS = ["moola-data", "pandas", "pyarrow"]


def prepare() -> Path:
    return bar_file()


def once(path: Path) -> FeatureMatrix:
    return compute_features(read_bars(path))
