"""nn.LSTM, linear layers and nn.Dropout where and as often as the compact network drops."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from compact_step import Bare, ready, step

VERSIONS = ["torch"]
once = step


def prepare() -> tuple:
    return ready(Bare(input_dropout=0.3, dense_dropout=0.6))
