"""Forward-backward over sparse states, and the span posterior with it."""

import sys
from pathlib import Path

import numpy as np

from moola_data.posterior import smooth

sys.path.insert(0, str(Path(__file__).parent))
from regimes import windows

VERSIONS = ["moola-data", "numba", "numpy"]
prepare = windows


def once(state: tuple) -> np.ndarray:
    return smooth(*state).label
