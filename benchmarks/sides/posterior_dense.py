"""Forward-backward with the whole transition matrix, a product of BLAS for each bar."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from regimes import transition, windows

VERSIONS = ["moola-data", "numpy"]


def prepare() -> tuple:
    ratios, stretches, chain = windows()
    matrix, used = transition(chain)
    regime = used // chain.duration.shape[1]
    return ratios, stretches, matrix, chain.initial.ravel()[used], chain.look[regime], chain.label[regime]


def once(state: tuple) -> np.ndarray:
    ratios, stretches, matrix, initial, look, label = state
    out = np.empty(len(ratios))
    for begin, end in pairwise(stretches):
        like = ratios[begin:end][:, look]
        forward, backward = np.empty_like(like), np.ones_like(like)
        norm = np.empty(len(like))
        for t in range(len(like)):
            forward[t] = (forward[t - 1] @ matrix if t else initial) * like[t]
            norm[t] = forward[t].sum()
            forward[t] /= norm[t]
        for t in range(len(like) - 1, 0, -1):
            backward[t - 1] = matrix @ (like[t] * backward[t]) / norm[t]
        out[begin:end] = (forward * backward)[:, label].sum(axis=1)
    return out
