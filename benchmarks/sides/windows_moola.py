"""All windows in random order, batches of 256 gathered from the feature matrix."""

import numpy as np

from moola_data.windows import window_view

VERSIONS = ["moola-data", "numpy"]


def prepare() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(300_000, 13)).astype(np.float32)


def once(features: np.ndarray) -> float:
    view = window_view(features, length=105)
    order = np.random.default_rng(1).permutation(len(view))
    total = 0.0
    for first in range(0, len(order), 256):
        total += float(view[order[first : first + 256]][0, 0, 0])
    return total
