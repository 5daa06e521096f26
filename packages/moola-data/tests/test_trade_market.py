import numpy as np
import pandas as pd
import pytest

from moola_data.bars import make_bars
from moola_data.features import compute_features
from moola_data.trade_market import WARMUP, trade_market

MARKET = trade_market(400, seed=0)


def test_the_bars_pass_every_check_and_features_are_finite():
    bars = MARKET.bars
    table = pd.DataFrame({name: getattr(bars, name) for name in ("time", "open", "high", "low", "close")})
    assert len(make_bars(table)) == len(bars)
    assert np.isfinite(compute_features(bars, "jade").values).all()


def test_spans_are_apart_and_lie_in_one_stretch():
    spans, segment = MARKET.spans, MARKET.bars.segment
    assert (spans.start[1:] > spans.end[:-1]).all()
    assert (segment[spans.start] == segment[spans.end]).all()
    lengths = spans.end - spans.start + 1
    assert lengths.min() >= 4
    assert lengths.max() <= 25
    share = lengths.sum() / len(MARKET.bars)
    assert 0.02 < share < 0.2


def test_a_marked_trend_goes_further_than_as_many_bars_elsewhere():
    spans, close = MARKET.spans, np.log(MARKET.bars.close)
    inside = np.abs(close[spans.end] - close[spans.start - 1])
    later = spans.start + 40
    kept = (later + 25 < len(close)) & (spans.start > 0)
    kept[kept] = MARKET.bars.segment[later[kept] + 25] == MARKET.bars.segment[spans.start[kept]]
    moved = later[kept] + (spans.end - spans.start)[kept]
    outside = np.abs(close[moved] - close[later[kept] - 1])
    assert np.median(inside) > 1.5 * np.median(outside)


def test_what_comes_before_a_marked_trend_is_calm():
    spans, bars = MARKET.spans, MARKET.bars
    reach = np.log(bars.high / bars.low)
    before = np.concatenate([reach[s - 6 : s] for s in spans.start if s >= 6])
    assert np.median(before) < 0.9 * np.median(reach)


def test_the_seed_says_everything_and_windows_lie_after_the_warm_up():
    again, other = trade_market(400, seed=0), trade_market(400, seed=1)
    np.testing.assert_array_equal(again.bars.close, MARKET.bars.close)
    assert not np.array_equal(other.bars.close, MARKET.bars.close)
    stretch = WARMUP + 10 * 105
    assert (MARKET.starts % stretch >= WARMUP).all()
    assert (np.diff(MARKET.starts) >= 105).all()


@pytest.mark.parametrize("name", ["n", "length", "per_stretch"])
def test_a_number_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}: want 1 or more, got 0"):
        trade_market(**{"n": 5, "seed": 0, name: 0})
