"""Records which samples other libraries put on either side, so that a test can audit them uninstalled.

The world: 3,000 windows of 105 bars, one every 35 bars, so each shares bars with the two before and the
two behind it. Run once per peer, each in an environment of its own (their pins exclude each other)::

    uv venv v && uv pip install --python v/bin/python skfolio==1.12 pandas
    v/bin/python record_peer_splits.py skfolio ../tests/data/peer_splits.json

Each run adds its splitters to the file. A split is stored as one letter a sample (r train, e test, -
neither), run-length coded: "2r1-" is r, r, neither.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

WINDOWS, STRIDE, LENGTH = 3000, 35, 105
FIRST = np.arange(WINDOWS) * STRIDE
CLOCK = pd.Timestamp("2020-01-01")


def times(bars: np.ndarray) -> pd.DatetimeIndex:
    """Turns bar numbers into minutes."""
    return CLOCK + pd.to_timedelta(bars, unit="min")


def splits_of(peer: str) -> dict[str, Iterable[tuple[np.ndarray, np.ndarray]]]:
    """Splits by name of the splitter as the peer's user would call it."""
    X = np.zeros((WINDOWS, 1))
    # A window's last bar is FIRST + LENGTH - 1; who asks for the end of a half-open interval gets the bar
    # behind it.
    last, behind = times(FIRST + LENGTH - 1), times(FIRST + LENGTH)
    if peer == "scikit-learn":
        from sklearn.model_selection import KFold, TimeSeriesSplit, train_test_split

        return {
            "KFold(5, shuffle=True, random_state=0)": KFold(5, shuffle=True, random_state=0).split(X),
            "KFold(5)": KFold(5).split(X),
            "TimeSeriesSplit(5)": TimeSeriesSplit(5).split(X),
            "TimeSeriesSplit(5, gap=3)": TimeSeriesSplit(5, gap=3).split(X),
            "train_test_split(test_size=0.2, random_state=42)": [
                tuple(
                    np.sort(side)
                    for side in train_test_split(np.arange(WINDOWS), test_size=0.2, random_state=42)
                )
            ],
        }
    if peer == "purgedcv":
        from purgedcv import PurgedKFold

        folds = PurgedKFold(5, prediction_times=times(FIRST), evaluation_times=behind)
        return {"PurgedKFold(5)": folds.split(X)}
    if peer == "skfolio":
        from skfolio.model_selection import CombinatorialPurgedCV

        def one_sided(folds: CombinatorialPurgedCV) -> Iterable[tuple[np.ndarray, np.ndarray]]:
            return [(train, np.concatenate(tests)) for train, tests in folds.split(X)]

        return {
            f"CombinatorialPurgedCV(5, 2, purged_size={size})": one_sided(
                CombinatorialPurgedCV(n_folds=5, n_test_folds=2, purged_size=size)
            )
            for size in (0, 2)
        }
    if peer == "timeseriescv":
        from timeseriescv.cross_validation import CombPurgedKFoldCV

        frame = pd.DataFrame(X)
        return {
            f"CombPurgedKFoldCV(5, {tested})": CombPurgedKFoldCV(5, tested).split(
                frame, pred_times=pd.Series(times(FIRST)), eval_times=pd.Series(last)
            )
            for tested in (1, 2)
        }
    if peer == "mlfinpy":
        from mlfinpy.cross_validation.cross_validation import PurgedKFold

        sets = pd.Series(last, index=times(FIRST))
        frame = pd.DataFrame(X, index=times(FIRST))
        return {
            f"PurgedKFold(5, pct_embargo={share})": PurgedKFold(5, sets, share).split(frame)
            for share in (0.0, 0.01)
        }
    raise SystemExit(f"peer: want scikit-learn, purgedcv, skfolio, timeseriescv or mlfinpy, got {peer!r}")


def coded(train: np.ndarray, test: np.ndarray) -> str:
    """One letter a sample, run-length coded."""
    letters = np.full(WINDOWS, "-")
    letters[np.asarray(train, int)] = "r"
    letters[np.asarray(test, int)] = "e"
    return "".join(f"{sum(1 for _ in run)}{letter}" for letter, run in itertools.groupby(letters))


def main() -> None:
    """Adds one peer's splits to the file."""
    peer, path = sys.argv[1], Path(sys.argv[2])
    book = json.loads(path.read_text()) if path.exists() else {}
    book["world"] = {"windows": WINDOWS, "stride": STRIDE, "length": LENGTH}
    peers = book.setdefault("peers", {})
    peers[peer] = {
        "version": version(peer),
        "splitters": {name: [coded(*split) for split in splits] for name, splits in splits_of(peer).items()},
    }
    book["peers"] = dict(sorted(peers.items()))
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(book, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(scratch).replace(path)


if __name__ == "__main__":
    main()
