"""A file marked by the detector: windows in batches, features block by block."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from predict_bars import bars, detector

VERSIONS = ["moola-train", "torch"]


def prepare():
    return detector(), bars(200_000)


def once(state) -> int:
    ready, file = state
    return len(ready.mark(file).spans)
