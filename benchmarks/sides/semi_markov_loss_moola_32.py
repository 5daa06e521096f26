"""32 windows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from semi_markov_moola import VERSIONS, loss, prepare_loss

__all__ = ["VERSIONS", "once", "prepare"]


def prepare() -> object:
    return prepare_loss(32)


once = loss
