import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.calibration import brier, expected_calibration_error, log_loss
from moola_eval.matching import match
from moola_eval.reliability import equal_mass_error, reliability, span_events
from moola_eval.spans import Spans

rows = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@given(rows, st.integers(1, 12), st.sampled_from(["width", "mass"]))
@settings(deadline=None, max_examples=100)
def test_the_parts_add_up_to_the_brier_score(rows, bins, binning):
    p, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    table = reliability(p, y, bins=bins, binning=binning)
    parts = table.reliability - table.resolution + table.uncertainty + table.within
    assert parts == pytest.approx(table.brier)
    assert table.brier == pytest.approx(brier(p, y).value)
    assert table.count.sum() == len(rows)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_nothing_is_left_within_bins_of_one_probability(rows):
    p, y = np.array([r[0] / 10 + 0.05 for r in rows]), np.array([r[1] for r in rows])
    assert reliability(p, y, bins=10).within == pytest.approx(0, abs=1e-12)


@given(rows, st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_the_table_gives_the_calibration_error(rows, bins):
    p, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    table = reliability(p, y, bins=bins)
    full = table.count > 0
    ece = np.sum((table.count * np.abs(table.frequency - table.probability))[full]) / len(rows)
    assert ece == pytest.approx(expected_calibration_error(p, y, bins=bins).value)
    assert table.largest_error >= ece - 1e-12


def test_bins_of_equal_mass_hold_equally_many():
    p = np.random.default_rng(0).beta(1, 20, 600)
    table = reliability(p, p > 0.5, bins=6, binning="mass")
    assert table.count.tolist() == [100.0] * 6


def test_equal_probabilities_are_never_apart():
    p = np.array([0.1] * 50 + np.linspace(0.2, 0.9, 50).tolist())
    y = np.arange(100) % 2 == 0
    table = reliability(p, y, bins=4, binning="mass")
    assert table.count.tolist() == [50.0, 25.0, 25.0]
    parts = [slice(0, 50), slice(50, 75), slice(75, 100)]
    expected = sum(abs(y[part].sum() - p[part].sum()) for part in parts) / 100
    assert equal_mass_error(p, y, bins=4).value == pytest.approx(expected)


def test_a_calibrated_forecast_has_little_error_and_an_overconfident_one_much():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    y = rng.random(20_000) < p
    sure = np.where(p > 0.5, 0.99, 0.01)
    assert equal_mass_error(p, y).value < 0.02
    assert equal_mass_error(sure, y).value > 0.2


def test_log_loss_is_entropy_for_the_true_rate_and_finite_for_a_certain_mistake():
    p, y = np.full(10, 0.3), np.arange(10) < 3
    assert log_loss(p, y).value == pytest.approx(-0.3 * np.log(0.3) - 0.7 * np.log(0.7))
    assert log_loss(np.array([0.0]), np.array([True])).value == pytest.approx(-np.log(1e-7))
    with pytest.raises(ValueError, match="clip: want a number between 0 and"):
        log_loss(p, y, clip=0)


def test_spans_become_events_with_their_score():
    true = Spans.from_lists([[(0, 9)], []], lengths=[30, 30])
    pred = Spans.from_lists([[(0, 9, 0, 0.9)], [(3, 5, 0, 0.2)]], lengths=[30, 30])
    score, right, sequence = span_events(match(true, pred))
    assert (score.tolist(), right.tolist(), sequence.tolist()) == ([0.9, 0.2], [True, False], [0, 1])
    assert expected_calibration_error(score, right).value == pytest.approx(0.15)
    with pytest.raises(ValueError, match=r"matches.pred: want spans with scores"):
        span_events(match(true, true))


def test_nothing_at_all_is_undefined():
    table = reliability(np.zeros(0), np.zeros(0, dtype=bool))
    assert np.isnan(table.brier)
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, dtype=bool)).value)
