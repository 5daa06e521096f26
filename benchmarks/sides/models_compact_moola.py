"""The compact network as it is."""

import sys
from pathlib import Path

from moola_models import Jade, compact

sys.path.insert(0, str(Path(__file__).parent))
from compact_step import FEATURES, ready, step

VERSIONS = ["moola-models", "torch"]
once = step


def prepare() -> tuple:
    return ready(Jade(compact(FEATURES)))
