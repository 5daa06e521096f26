"""Real trades of a futures market, out of a package that ships them, as bars of a few seconds."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from moola_data.bars import make_bars
from moola_data.schema import Bars

PACKAGE = "mlfinpy==0.1.2"
"""MIT; fetched by its name, never installed beside us: it pins old versions of numpy and numba."""
MEMBER = Path("mlfinpy") / "dataset" / "data" / "tick_data.csv"
SHA256 = "b65c9d481aab09af7c7290d898382e9231e6a4694d2685cb0858d248812d0b0e"
PAUSE = datetime.timedelta(minutes=30)
"""A longer time without a trade is a barrier."""


def futures_bars(seconds: int, *, file: Path | None = None) -> Bars:
    """Makes bars of the E-mini S&P 500 trades of 1 to 3 September 2013.

    Args:
        seconds: Length of a bar; seconds without a trade have none.
        file: The trades, columns DateTime, Price, Volume; those of the package unless given.

    Returns:
        Bars in index points, ticks of .25: 10,151 of ten seconds, 34,171 of one. What the exchange or the
        vendor of the trades was, the package does not say.

    Raises:
        ValueError: `seconds` is below 1, the trades could not be fetched, or are not those on record.
    """
    if seconds < 1:
        raise ValueError(f"seconds: want 1 or more, got {seconds}")
    trades = pd.read_csv(futures_ticks() if file is None else file, parse_dates=["DateTime"])
    price = trades.groupby(trades["DateTime"].dt.floor(f"{seconds}s"))["Price"]
    table = price.agg(open="first", high="max", low="min", close="last").rename_axis("time").reset_index()
    return make_bars(table, source=f"{PACKAGE}: E-mini S&P 500 trades, bars of {seconds} s", gap=PAUSE)


def futures_ticks() -> Path:
    """Fetches the trades once and returns their file, in the user's folder of caches.

    Raises:
        ValueError: The package could not be fetched, or its file is not the one on record.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moola"
    file = root / PACKAGE.replace("==", "-") / MEMBER.name
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        command = [*_installer(), "install", "--quiet", "--no-deps", "--target", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ValueError(f"futures: {PACKAGE} could not be fetched: {told}")
        found = Path(folder) / MEMBER
        checked(found)
        found.replace(file)
    return file


def checked(file: Path) -> None:
    """Raises ValueError unless the file is the one on record."""
    got = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "no such file"
    if got != SHA256:
        raise ValueError(f"futures: want {MEMBER.name} with sha256 {SHA256[:12]}…, got {got[:12]}")


def _installer() -> list[str]:
    uv = shutil.which("uv")
    return [sys.executable, "-m", "pip"] if uv is None else [uv, "pip"]
