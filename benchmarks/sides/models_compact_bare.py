"""nn.LSTM and linear layers, without any dropout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from compact_step import Bare, ready, step

VERSIONS = ["torch"]
once = step


def prepare() -> tuple:
    return ready(Bare())
