"""256 windows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from crf_moola import VERSIONS, decode, prepare_decode

__all__ = ["VERSIONS", "once", "prepare"]


def prepare() -> object:
    return prepare_decode(256)


once = decode
