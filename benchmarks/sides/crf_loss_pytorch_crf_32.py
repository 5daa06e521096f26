"""32 windows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from crf_pytorch_crf import VERSIONS, loss, prepare_loss

__all__ = ["VERSIONS", "once", "prepare"]


def prepare() -> object:
    return prepare_loss(32)


once = loss
