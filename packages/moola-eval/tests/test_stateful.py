import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval import bar_f1, decode, span_f1
from moola_eval.calibration import brier, expected_calibration_error
from moola_eval.decoding import Decoder
from moola_eval.matching import Collar, Exact, IoU
from moola_eval.segments import segment_f1
from moola_eval.separation import separation
from moola_eval.spans import Spans
from moola_eval.stateful import BarF1, Brier, CalibrationError, SegmentF1, Separation, SpanF1, Stateful

COUNTED = [
    BarF1(0.4),
    BarF1(beta=2.0),
    SpanF1(0.4),
    SpanF1(criterion=Exact()),
    SpanF1(criterion=Collar(onset=1, offset=2)),
    SpanF1(criterion=IoU(0.3), decoder=Decoder(low=0.3, merge_gap=1, min_length=2)),
    SegmentF1(5),
]
SUMMED = [Separation(), Brier(), CalibrationError(bins=4)]


def windows(seed, n, bars=17):
    rng = np.random.default_rng(seed)
    true = rng.random((n, bars)) < 0.3
    # Few distinct values, so that thresholds are met exactly.
    return true, (np.round(0.5 * true + 0.5 * rng.random((n, bars)), 1)).astype(np.float32)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(0, 12), st.lists(st.integers(0, 12), max_size=3))
@pytest.mark.parametrize("metric", COUNTED, ids=str)
def test_any_split_merged_equals_the_whole_bit_for_bit(metric, seed, n, cuts):
    true, values = windows(seed, n)
    whole, parts = Stateful(metric), Stateful(metric)
    whole.update(true, values)
    for t, v in zip(np.split(true, sorted(cuts)), np.split(values, sorted(cuts)), strict=True):
        part = Stateful(metric)
        part.update(t, v)
        parts.merge(part)
    assert parts.sums.tobytes() == whole.sums.tobytes()
    np.testing.assert_equal(parts.compute().value, metric(true, values).value)


@pytest.mark.parametrize("metric", SUMMED, ids=str)
def test_sums_of_probabilities_agree_up_to_rounding(metric):
    true, values = windows(3, 40)
    parts = Stateful(metric)
    for begin in range(0, 40, 7):
        parts.update(true[begin : begin + 7], values[begin : begin + 7])
    np.testing.assert_allclose(parts.compute().value, metric(true, values).value, rtol=1e-12)


def test_the_metrics_are_the_functions_of_the_same_name():
    true, values = windows(5, 30)
    spans = Spans.from_mask(true)
    at = np.float32(0.4)
    pairs = [
        (BarF1(0.4), bar_f1(true, values >= at)),
        (SpanF1(0.4), span_f1(spans, decode(values, threshold=0.4))),
        (SpanF1(0.4, criterion=Exact()), span_f1(spans, decode(values, threshold=0.4), criterion=Exact())),
        (SegmentF1(5, 0.4), segment_f1(true, values >= at, size=5)),
        (Separation(), separation(values, true)),
        (Brier(), brier(values, true)),
        (CalibrationError(4), expected_calibration_error(values, true, bins=4)),
    ]
    for metric, score in pairs:
        state = Stateful(metric)
        state.update(true, values)
        assert state.compute().definition == score.definition
        assert state.compute().value == pytest.approx(score.value, rel=1e-12)


def test_decided_bars_need_no_threshold():
    true, values = windows(6, 20)
    decided = values >= np.float32(0.4)
    assert BarF1()(true, decided).value == BarF1(0.4)(true, values).value
    assert SpanF1()(true, decided).value == SpanF1(0.4)(true, values).value


@pytest.mark.parametrize("metric", [*COUNTED, *SUMMED], ids=str)
def test_nothing_seen_is_undefined_with_counts_of_zero(metric):
    state = Stateful(metric)
    assert np.isnan(state.compute().value)
    assert set(state.compute().counts.values()) == {0.0}
    assert state.sums.shape == (len(state.columns),)


def test_a_state_can_be_stored_and_loaded():
    true, values = windows(7, 9)
    state = Stateful(SpanF1())
    state.update(true, values)
    assert Stateful(SpanF1()).load(state.sums).compute().value == state.compute().value


def test_the_sums_handed_out_are_a_copy():
    state = Stateful(BarF1())
    state.sums[:] = 5
    state.compute().sums[:] = 5
    assert state.sums.tolist() == [0, 0, 0]


def test_reset_forgets():
    true, values = windows(8, 9)
    state = Stateful(BarF1())
    state.update(true, values)
    state.reset()
    assert np.isnan(state.compute().value)


def test_another_metric_is_not_added():
    with pytest.raises(ValueError, match=r"other: want the metric BarF1\(threshold=0.5.*got BarF1"):
        Stateful(BarF1()).merge(Stateful(BarF1(0.4)))


@pytest.mark.parametrize(
    ("sums", "message"), [([1.0], r"sums: want shape \(3,\)"), ([1.0, np.nan, 0.0], "sums: want finite")]
)
def test_a_bad_state_is_refused(sums, message):
    with pytest.raises(ValueError, match=message):
        Stateful(BarF1()).load(sums)


@pytest.mark.parametrize("metric", [*COUNTED, *SUMMED], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(metric, bad):
    true, values = windows(9, 4)
    values[2, 3] = bad
    with pytest.raises(ValueError, match=r"want (finite )?numbers.* in row \(2, 3\)"):
        Stateful(metric).update(true, values)


@pytest.mark.parametrize("metric", [*COUNTED, *SUMMED], ids=str)
def test_other_shapes_are_refused(metric):
    true, values = windows(9, 4)
    with pytest.raises(ValueError, match="want"):
        Stateful(metric).update(true, values[:, :-1])


@pytest.mark.parametrize("metric", [BarF1(), SegmentF1(5), Brier()], ids=str)
def test_whole_numbers_are_neither_probabilities_nor_decisions(metric):
    with pytest.raises(ValueError, match="want floats, got int64"):
        metric(np.zeros((2, 3), dtype=bool), np.zeros((2, 3), dtype=np.int64))
