"""A seeded random walk of OHLC bars, the same on every side."""

import numpy as np


def walk(n: int = 1_800_000, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 5e-4, n)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0, 1e-4, n))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 3e-4, n)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 3e-4, n)))
    return {"open": open_, "high": high, "low": low, "close": close}
