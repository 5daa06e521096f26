"""Ten features as a pandas user writes them; rolling extremes stand in for the swings, which need a loop."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from walk import walk

VERSIONS = ["pandas", "numpy"]


def prepare() -> pd.DataFrame:
    return pd.DataFrame(walk())


def once(bars: pd.DataFrame) -> pd.DataFrame:
    o, h, lo, c = bars["open"], bars["high"], bars["low"], bars["close"]
    span = (h - lo).clip(lower=1e-6)
    previous = c.shift()
    true_range = pd.concat([h - lo, (h - previous).abs(), (lo - previous).abs()], axis=1).max(axis=1)
    atr = true_range.rolling(10, min_periods=1).mean()
    out = pd.DataFrame(
        {
            "open_norm": ((o - lo) / span).clip(0, 1),
            "close_norm": ((c - lo) / span).clip(0, 1),
            "body_pct": ((c - o) / span).clip(-1, 1),
            "upper_wick_pct": ((h - np.maximum(o, c)) / span).clip(0, 1),
            "lower_wick_pct": ((np.minimum(o, c) - lo) / span).clip(0, 1),
            "range_z": ((h - lo) / (h - lo).ewm(span=20, adjust=False).mean().clip(lower=1e-6)).clip(0, 3),
            "dist_high": ((h.rolling(20, min_periods=1).max() - c) / atr).clip(-3, 3),
            "dist_low": ((c - lo.rolling(20, min_periods=1).min()) / atr).clip(-3, 3),
        }
    )
    out["expansion_proxy"] = (out["range_z"] * out["body_pct"]).clip(-2, 2)
    out["consol_proxy"] = ((1 - out["range_z"] / 3) * (1 - out["body_pct"].abs())).clip(0, 3)
    return out.astype(np.float32)
