"""Small bars and spans on files, and a quick configuration, for the tests of the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moola_train.recipes.commands import run

QUICK = """
base = "plain"
[data]
length = 20
stride = 10
[model]
hidden = 8
[fit]
epochs = 3
batch_size = 8
learning_rate = 0.003
selection = "span_loss"
[evaluation]
resamples = 20
"""


def make_bars(n: int = 600, *, seed: int = 0, scale: float = 0.002) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, scale, n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, scale / 2, (2, n)))
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=n, freq="min"),
            "open": open_,
            "high": np.maximum(open_, close) * (1 + wick[0]),
            "low": np.minimum(open_, close) * (1 - wick[1]),
            "close": close,
        }
    )


def make_spans(n: int = 600, *, every: int = 16, length: int = 5) -> pd.DataFrame:
    start = np.arange(3, n - length, every)
    return pd.DataFrame({"start": start, "end": start + length - 1})


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars.csv, spans.csv and quick.toml; nobody writes into it."""
    folder = tmp_path_factory.mktemp("market")
    make_bars().to_csv(folder / "bars.csv", index=False)
    make_spans().to_csv(folder / "spans.csv", index=False)
    (folder / "quick.toml").write_text(QUICK)
    return folder


@pytest.fixture(scope="session")
def flags(market: Path) -> list[str]:
    """The flags of the bars and the spans."""
    return ["--bars", str(market / "bars.csv"), "--spans", str(market / "spans.csv")]


@pytest.fixture(scope="session")
def finished(market: Path, flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of quick.toml; nobody writes into it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run(["train", *flags, "--config", str(market / "quick.toml"), "--run", str(folder)]) == 0
    return folder


@pytest.fixture
def other_bars() -> Callable[..., pd.DataFrame]:
    """Makes bars with another seed or scale."""
    return make_bars
