"""What looks wrong with bars that break no rule."""

import datetime

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import make_bars
from moola_data.sample import load_sample
from moola_data.suspicions import list_suspicions


def bars_at(close, minutes=None, symbol="A"):
    close = np.asarray(close, np.float64)
    minutes = np.arange(len(close)) if minutes is None else minutes
    open_ = np.concatenate([close[:1], close[:-1]])
    time = pd.Timestamp("2024-01-02") + pd.to_timedelta(np.asarray(minutes), "min")
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    return make_bars(
        pd.DataFrame(
            {"open": close, "high": high, "low": low, "close": close, "time": time, "symbol": symbol}
        )
    )


def found(bars, **how):
    table = list_suspicions(bars, **how)
    return list(zip(table["row"], table["rule"], strict=True))


@pytest.mark.parametrize(("ratio", "name"), [(0.5, "1/2"), (2, "near 2"), (1 / 7, "1/7"), (3, "near 3")])
def test_a_split_is_found_at_its_first_bar(ratio, name):
    rng = np.random.default_rng(0)
    close = 100 + rng.normal(0, 0.5, 60)
    close[40:] *= ratio
    table = list_suspicions(bars_at(close))
    assert list(zip(table["row"], table["rule"], strict=True)) == [(40, "split-like jump")]
    assert name in table.loc[0, "value"]


def test_the_three_splits_of_the_sample_would_have_been_found():
    bars = load_sample()
    raw = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    wanted = []
    for symbol, day in (("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")):
        mine = bars.symbol == bars.symbols.index(symbol)
        wanted.append(int(np.flatnonzero(mine & (bars.time == np.datetime64(day)))[0]))
        for price in raw.values():
            price[mine & (bars.time < np.datetime64(day))] *= 2
    jumps = {row for row, rule in found(bars.model_copy(update=raw)) if rule == "split-like jump"}
    assert jumps >= set(wanted)
    assert len(jumps) == 4  # and the real fall of 2000-09-29


def test_gaps_are_found_against_the_usual_step_or_a_given_one():
    close = np.linspace(100, 101, 30)
    minutes = np.concatenate([np.arange(20), 200 + np.arange(10)])
    assert found(bars_at(close, minutes)) == [(20, "gap in time")]
    assert found(bars_at(close), gap=datetime.timedelta(seconds=59)) == [
        (i, "gap in time") for i in range(1, 30)
    ]


def test_a_price_that_stands_still_is_found_once_from_ten_bars_on():
    moving = np.linspace(100, 101, 20)  # the first bar at a new price has a range, from the old one
    assert found(bars_at([*moving, *[102.0] * 11, 103.0, 104.0])) == [(21, "frozen price")]
    assert found(bars_at([*moving, *[102.0] * 10])) == []


def test_prices_off_the_grid_are_named():
    table = list_suspicions(bars_at([100.25, 100.5, 100.6]), tick=0.25)
    assert table["row"].tolist() == [2, 2, 2]
    assert set(table["value"]) == {"open=100.6", "high=100.6", "close=100.6"}
    assert found(bars_at(np.arange(500, 3_000) / 100), tick=0.01) == []


def test_arguments_must_be_positive():
    with pytest.raises(ValueError, match="tick: want a finite number above 0"):
        list_suspicions(bars_at([1.0, 1.0]), tick=0)
    with pytest.raises(ValueError, match="gap: want a positive time"):
        list_suspicions(bars_at([1.0, 1.0]), gap=datetime.timedelta(0))


def test_two_symbols_are_not_compared_with_each_other():
    symbol = ["A"] * 5 + ["B"] * 5
    assert found(bars_at([100.0] * 5 + [50.0] * 5, minutes=[0, 1, 2, 3, 4] * 2, symbol=symbol)) == []
