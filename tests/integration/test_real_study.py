import hashlib
import sys

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from moola_data.expansion_rule import label_expansions
from moola_data.sample import load_sample
from moola_data.window_split import window_extents
from moola_train.recipes import futures_ticks, study_real
from moola_train.recipes.proxy_rules import Rules
from moola_train.recipes.proxy_trial import proxy_trial
from moola_train.recipes.run_config import DataSection, recipe_values
from moola_train.recipes.study import load_study, merged
from moola_train.recipes.study_data import SOURCES, material
from moola_train.recipes.trial import trial

JADE = DataSection(feature_set="jade")


@pytest.mark.parametrize("symbol", ["AAPL", "GOOG", "IBM", "MSFT"])
def test_a_reported_stock_and_its_time_are_unknown_in_training(symbol):
    found = material(SOURCES.validate_python({"kind": "stocks", "held_out": symbol}), JADE, seed=0)
    (bars,) = found.bars
    windows = found.windows
    first, last = window_extents(label_expansions(bars), windows.starts, length=windows.length)
    begun, ended = bars.time[first], bars.time[last]
    held_out = bars.symbol[windows.starts] == bars.symbols.index(symbol)
    train, inner, test = (windows.split == part for part in range(3))
    assert held_out[test].all()
    assert not held_out[train | inner].any()
    assert ended[train].max() < begun[inner].min()
    assert ended[inner].max() < begun[test].min()
    assert min(train.sum(), inner.sum(), test.sum()) >= 10


def test_a_real_market_has_no_ceiling_and_no_formula_of_it_is_mirrored():
    source = {"kind": "stocks", "held_out": "IBM", "stride": 300}
    numbers = proxy_trial(source=source, run={"method": "move"}, seed=0)
    assert not [name for name in numbers if name.startswith("share/")]
    assert 0 < numbers["null/bar_f1"] < numbers["test/bar_f1"] < 1
    with pytest.raises(ValidationError, match=r"data\.mirror: want false for 'move'"):
        Rules.model_validate({"method": "move", "data": {"mirror": True}})


def test_a_network_is_trained_on_a_real_market():
    run = merged(recipe_values("jade-best"), {"fit": {"epochs": 1}})
    numbers = trial(source={"kind": "stocks", "held_out": "MSFT", "stride": 300}, run=run, seed=0)
    assert numbers["completed"] == 1
    assert numbers["test/bar_f1"] is not None
    assert "share/bar_f1" not in numbers


def test_the_study_names_every_stock_and_every_fifth():
    jobs = load_study("real").jobs(quick=False)
    sources = {tuple(sorted((k, v) for k, v in job["source"].items() if k != "stride")) for _, _, job in jobs}
    assert len(sources) == len(load_sample().symbols) + 2 * study_real.FOLDS


def made_trades(path, *, seed=0, count=4_000, pause=False):
    draw = np.random.default_rng(seed)
    steps = draw.integers(1, 3_000, count)
    if pause:
        steps[count // 2] = 40 * 60 * 1_000
    time = pd.Timestamp("2013-09-01 17:00") + pd.to_timedelta(np.cumsum(steps), unit="ms")
    price = 1600 + 0.25 * np.cumsum(draw.integers(-1, 2, count))
    table = pd.DataFrame({"DateTime": time, "Price": price, "Volume": 1})
    table.to_csv(path, index=False)
    return table


def test_bars_of_trades_agree_with_a_loop(tmp_path):
    trades = made_trades(tmp_path / "trades.csv", pause=True)
    bars = futures_ticks.futures_bars(10, file=tmp_path / "trades.csv")
    rows = {}
    for time, price in zip(trades.DateTime, trades.Price, strict=True):
        rows.setdefault(time.floor("10s"), []).append(price)
    assert bars.time.tolist() == [time.value for time in rows]
    for name, of in (("open", lambda p: p[0]), ("high", max), ("low", min), ("close", lambda p: p[-1])):
        assert getattr(bars, name).tolist() == [of(prices) for prices in rows.values()]
    assert bars.segment.tolist()[0] == 0
    assert len(np.unique(bars.segment)) == 2  # the pause of 40 minutes
    with pytest.raises(ValueError, match="seconds: want 1 or more, got 0"):
        futures_ticks.futures_bars(0)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_a_market_walks_forward(tmp_path, monkeypatch, fold):
    made_trades(tmp_path / "trades.csv", count=30_000)
    monkeypatch.setattr(
        study_real, "futures_bars", lambda s: futures_ticks.futures_bars(s, file=tmp_path / "trades.csv")
    )
    found = material(SOURCES.validate_python({"kind": "futures", "fold": fold}), JADE, seed=0)
    whole = futures_ticks.futures_bars(10, file=tmp_path / "trades.csv")
    (bars,), windows = found.bars, found.windows
    assert len(bars) == len(whole) * (3 + fold) // 5
    ends = [windows.starts[windows.split == part] for part in range(3)]
    assert ends[0].max() + windows.length <= ends[1].min()
    assert ends[1].max() + windows.length <= ends[2].min()
    assert ends[2].min() >= len(whole) * (2 + fold) // 5 - windows.length


SHIPS = """
import pathlib, sys
target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1]) / "mlfinpy" / "dataset" / "data"
target.mkdir(parents=True)
(target / "tick_data.csv").write_text("DateTime,Price,Volume\\n2013-09-01 17:00:00,1640.25,1\\n")
"""


def test_trades_are_fetched_once_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(futures_ticks, "_installer", lambda: [sys.executable, "-c", SHIPS])
    with pytest.raises(ValueError, match=r"want tick_data\.csv with sha256 b65c9d481aab"):
        futures_ticks.futures_ticks()
    assert not list(tmp_path.rglob("*.csv"))
    shipped = b"DateTime,Price,Volume\n2013-09-01 17:00:00,1640.25,1\n"
    monkeypatch.setattr(futures_ticks, "SHA256", hashlib.sha256(shipped).hexdigest())
    file = futures_ticks.futures_ticks()
    assert file.read_bytes() == shipped
    monkeypatch.setattr(futures_ticks, "_installer", lambda: pytest.fail("fetched twice"))
    assert futures_ticks.futures_ticks() == file


def test_trades_that_cannot_be_fetched_say_why(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told = [sys.executable, "-c", "import sys; sys.exit('no route to the index')"]
    monkeypatch.setattr(futures_ticks, "_installer", lambda: told)
    with pytest.raises(ValueError, match=r"mlfinpy==0\.1\.2 could not be fetched: no route to the index"):
        futures_ticks.futures_ticks()
