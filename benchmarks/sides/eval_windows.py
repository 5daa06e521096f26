"""10,000 windows of 105 bars with one true span each, and a middling detector's answer; numpy only."""

import numpy as np

N, K, SEED = 10_000, 105, 0


def windows(n: int = N, *, found: float = 0.9, extra: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted spans as rows (window, start, end), both inclusive, sorted and disjoint."""
    rng = np.random.default_rng(SEED)
    size = rng.integers(4, 16, n)
    start = rng.integers(0, K // 2 - size + 1)
    true = np.stack([np.arange(n), start, start + size - 1], axis=1)
    shift = rng.choice([-3, -2, -1, 0, 0, 0, 1, 2, 3], (n, 2))
    first = np.clip(true[:, 1] + shift[:, 0], 0, K // 2 - 1)
    last = np.clip(true[:, 2] + shift[:, 1], first, K // 2 - 1)
    hit = rng.random(n) < found
    pred = np.stack([np.arange(n), first, last], axis=1)[hit]
    wrong = np.flatnonzero(rng.random(n) < extra)
    begin = rng.integers(K // 2 + 2, K - 8, len(wrong))
    pred = np.concatenate([pred, np.stack([wrong, begin, begin + 5], axis=1)])
    return true, pred[np.lexsort([pred[:, 1], pred[:, 0]])]


def mask(rows: np.ndarray, n: int = N) -> np.ndarray:
    """(n, K) bool."""
    edge = np.zeros((n, K + 1), dtype=np.int64)
    np.add.at(edge, (rows[:, 0], rows[:, 1]), 1)
    np.add.at(edge, (rows[:, 0], rows[:, 2] + 1), -1)
    return np.cumsum(edge[:, :-1], axis=1) > 0


def by_window(rows: np.ndarray, n: int = N) -> list[list[tuple[int, int]]]:
    """One list of (start, end) a window."""
    out: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for window, start, end in rows.tolist():
        out[window].append((start, end))
    return out
