"""What more labels are worth, and when nobody can know."""

from __future__ import annotations

import numpy as np
import pytest

from moola_train.recipes.curve_points import curve_points
from moola_train.recipes.learning_curve import worth_of_more
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings


def scores(n, *, noise: float, seed: int, a: float = 0.8, b: float = 2.0, c: float = 0.5):
    return a - b * n**-c + np.random.default_rng(seed).normal(0, noise, len(n))


N = np.repeat([40.0, 80, 160, 320], 4)


@pytest.mark.parametrize("c", [0.3, 0.5, 1.0])
def test_the_interval_holds_the_gain_of_a_curve_that_is_known(c):
    b = 0.2 / (40**-c - 320**-c)
    true = b * (320**-c - 400**-c)
    found = [
        worth_of_more(N, scores(N, noise=0.02, seed=s, b=b, c=c), have=320, more=80, seed=s)
        for s in range(60)
    ]
    assert sum(f.low <= true <= f.high for f in found) >= 54
    assert abs(np.median([f.gain for f in found]) - true) < 0.01


def test_scores_that_do_not_rise_tell_nothing():
    found = worth_of_more(N, 0.6 + np.random.default_rng(3).normal(0, 0.02, len(N)), have=320, more=50)
    assert not found.known
    assert found.low < 0 < found.high
    assert "not known" in found.why


def test_more_labels_are_worth_more_and_more_scores_tell_more():
    y = scores(N, noise=0.02, seed=1)
    gains = [worth_of_more(N, y, have=320, more=more).gain for more in (10, 50, 200)]
    assert gains == sorted(gains)
    few = worth_of_more(N[::4], scores(N[::4], noise=0.02, seed=1), have=320, more=50)
    assert np.isnan(few.gain)
    assert "too little" in few.why
    wide, narrow = (worth_of_more(N, scores(N, noise=s, seed=2), have=320, more=50) for s in (0.05, 0.005))
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_undefined_scores_do_not_count():
    y = scores(N, noise=0.02, seed=1)
    with_gap = worth_of_more(np.append(N, 500.0), np.append(y, np.nan), have=320, more=50)
    assert with_gap == worth_of_more(N, y, have=320, more=50)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="windows: want numbers above 0"):
        worth_of_more(N, N, have=0, more=1)
    with pytest.raises(ValueError, match="score: want one a number"):
        worth_of_more(N, N[1:], have=1, more=1)


def test_points_are_trained_on_as_much_as_they_say(market):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    config = read_run_settings(market / "quick.toml")
    config = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": 1})})
    told = []
    points = curve_points(
        inputs.bars, inputs.spans, config, shares=(0.3, 1.0), repeats=1, told=lambda *x: told.append(x)
    )
    assert told == [(1, 2), (2, 2)]
    assert [p.share for p in points] == [0.3, 1.0]
    assert 0.15 < points[0].windows / points[1].windows < 0.5
    assert points[1].windows == pytest.approx(0.6 * 600 / 20, rel=0.1)
    assert all(0 <= p.score <= 1 for p in points)
    again = curve_points(inputs.bars, inputs.spans, config, shares=(0.3,), repeats=1)
    assert again[0] == points[0]
    with pytest.raises(ValueError, match="shares: want shares above 0"):
        curve_points(inputs.bars, inputs.spans, config, shares=(0.0,))
