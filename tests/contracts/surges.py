"""Bars with planted surges that a small network learns to find, and a run trained on them."""

from pathlib import Path

import numpy as np
import pandas as pd

from moola_data.bars import make_bars
from moola_data.features import compute_features
from moola_train.recipes.commands import run

K = 24
CONFIG = f"""
[data]
length = {K}
stride = 6
[fit]
epochs = 12
learning_rate = 0.01
selection = "span_loss"
[evaluation]
resamples = 50
"""


def table(n, seed=0, symbol="A", every="min"):
    """A walk with surges of 5 bars, which are there to be found, and their first bars."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.001, n)
    first = np.arange(6, n - 6, 19) + rng.integers(0, 6, len(np.arange(6, n - 6, 19)))
    first = first[first + 5 <= n]
    for at in first:
        moves[at : at + 5] += rng.choice([-1, 1]) * 0.0025
    close = 100 * np.exp(np.cumsum(moves))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.0005, (2, n)))
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=n, freq=every),
            "open": open_,
            "high": np.maximum(open_, close) * (1 + wick[0]),
            "low": np.minimum(open_, close) * (1 - wick[1]),
            "close": close,
            "symbol": symbol,
        }
    )
    return frame, first


def several(seed=3):
    """Three symbols; sessions of uneven length, one shorter than a window and one of a window exactly."""
    cuts = {"A": (0, 90, 100, 200), "B": (0, K, 150), "C": (0, 70)}
    frames = []
    for number, (symbol, session) in enumerate(cuts.items()):
        frame, _ = table({"A": 260, "B": 230, "C": 130}[symbol], seed + number, symbol)
        frames.append(frame.assign(session=np.searchsorted(session, np.arange(len(frame)), "right")))
    return make_bars(pd.concat(frames), segment_column="session")


def cut(bars, rows):
    names = ("time", "open", "high", "low", "close", "symbol", "segment")
    return bars.model_copy(update={name: getattr(bars, name)[rows] for name in names})


def train_on_surges(folder: Path) -> Path:
    """Trains by the command; bars.csv, spans.csv and run.toml stand beside the run."""
    frame, first = table(1500)
    frame.to_csv(folder / "bars.csv", index=False)
    kinds = np.array(["up", "down"])[
        (frame["close"][first + 4].to_numpy() < frame["open"][first]).astype(int)
    ]
    kinds = np.where(kinds == "up", "consolidation", "retracement")
    pd.DataFrame({"start": first, "end": first + 4, "type": kinds, "symbol": "A"}).to_csv(
        folder / "spans.csv", index=False
    )
    (folder / "run.toml").write_text(CONFIG)
    words = ["train", "--bars", str(folder / "bars.csv"), "--spans", str(folder / "spans.csv")]
    assert run([*words, "--config", str(folder / "run.toml"), "--run", str(folder / "run")]) == 0
    return folder / "run"


def slow_probability(loaded, bars, starts):
    """Bar by bar, window by window."""
    values = compute_features(bars, loaded.features).values
    said = [[] for _ in range(len(bars))]
    for start in starts:
        one = loaded.answer(values, np.array([start]))
        for bar in range(K):
            said[start + bar].append(one.probability[0, bar])
    return np.array([np.mean(x) if x else np.nan for x in said])
