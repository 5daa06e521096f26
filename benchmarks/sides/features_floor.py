"""What no implementation can undercut: a fresh (N, 12) float32 matrix written once."""

import numpy as np

VERSIONS = ["numpy"]


def prepare() -> int:
    return 1_800_000


def once(n: int) -> np.ndarray:
    out = np.empty((n, 12), dtype=np.float32)
    out.fill(1.0)
    return out
