import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.bars import bar_f1
from moola_eval.decoding import Decoder, decode
from moola_eval.detection import span_f1
from moola_eval.schema import TrueSpans, Truth
from moola_eval.spans import Spans
from moola_eval.threshold import choose_threshold, standard_error, threshold_curve


def truth(mask, group=None):
    spans = Spans.from_mask(mask)
    n, k = mask.shape
    return Truth(
        starts=np.arange(n) * k,
        length=k,
        group=np.arange(n) if group is None else np.asarray(group, dtype=np.int64),
        spans=TrueSpans(
            window=spans.sequence, start=spans.start, end=spans.end, type=np.full(len(spans), -1)
        ),
        type_names=(),
    )


def world(seed, n=12, k=15, dtype=np.float64, steps=20):
    rng = np.random.default_rng(seed)
    mask = np.zeros((n, k), dtype=bool)
    for row in mask:
        start = rng.integers(0, k - 3)
        row[start : start + rng.integers(1, 4)] = True
    noise = rng.random((n, k)) + 0.5 * mask
    return mask, (np.round(noise / noise.max() * steps) / steps).astype(dtype)


@given(
    st.integers(0, 10**6), st.sampled_from(["span_f1", "bar_f1"]), st.sampled_from([np.float32, np.float64])
)
@settings(deadline=None, max_examples=25)
def test_the_sweep_equals_scoring_every_threshold_from_scratch(seed, metric, dtype):
    mask, p = world(seed, dtype=dtype)
    cuts, curve = threshold_curve(p, truth(mask), metric=metric)
    assert np.array_equal(cuts, np.unique(p.astype(np.float64))[::-1])
    true = Spans.from_mask(mask)
    for at, value in zip(cuts, curve, strict=True):
        direct = (
            span_f1(true, decode(p, threshold=at)) if metric == "span_f1" else bar_f1(mask, p >= dtype(at))
        )
        assert value == direct.value


@given(st.integers(0, 10**6), st.integers(0, 2), st.integers(1, 3), st.sampled_from([None, 0.3]))
@settings(deadline=None, max_examples=25)
def test_the_sweep_is_exact_with_every_decoder(seed, gap, shortest, low):
    mask, p = world(seed)
    decoder = Decoder(low=low, merge_gap=gap, min_length=shortest)
    cuts, curve = threshold_curve(p, truth(mask), decoder=decoder)
    assert cuts.min() >= (low or 0)
    for at, value in zip(cuts, curve, strict=True):
        assert value == span_f1(Spans.from_mask(mask), decode(p, threshold=at, decoder=decoder)).value


@given(
    st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]), st.sampled_from(["span_f1", "bar_f1"])
)
@settings(deadline=None, max_examples=25)
def test_the_chosen_threshold_scores_best_and_says_so(seed, dtype, metric):
    mask, p = world(seed, dtype=dtype)
    chosen = choose_threshold(p, truth(mask), metric=metric)
    _, curve = threshold_curve(p, truth(mask), metric=metric)
    assert chosen.value == curve.max()
    assert dtype(chosen.threshold) == chosen.threshold
    assert chosen.plateau[0] <= chosen.plateau[1]


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_every_threshold_of_the_plateau_lies_within_one_standard_error(seed):
    mask, p = world(seed)
    chosen = choose_threshold(p, truth(mask), pick="plateau")
    cuts, curve = threshold_curve(p, truth(mask))
    inside = (cuts >= chosen.plateau[0]) & (cuts <= chosen.plateau[1])
    assert curve[inside].min() >= curve.max() - chosen.standard_error - 1e-12
    assert chosen.plateau[0] <= chosen.threshold <= chosen.plateau[1]


def test_many_windows_in_chunks_equal_one_chunk(monkeypatch):
    mask, p = world(3, n=30)
    whole = threshold_curve(p, truth(mask))
    monkeypatch.setattr("moola_eval.threshold.CHUNK_BARS", 15 * 15 * 4)
    parts = threshold_curve(p, truth(mask))
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_adjacent_float32_values_are_told_apart():
    a = np.float32(0.5)
    b = np.nextafter(a, np.float32(1))
    mask = np.array([[False, True, False]])
    chosen = choose_threshold(np.array([[a, b, a]]), truth(mask))
    assert chosen.value == 1.0
    assert chosen.threshold == float(b)


def test_rules_with_any_finite_score_have_a_threshold():
    mask, p = world(5)
    assert choose_threshold(1000 * p - 300, truth(mask)).value == choose_threshold(p, truth(mask)).value


def test_standard_error_agrees_with_resampling():
    rng = np.random.default_rng(0)
    mask, p = world(11, n=400)
    group = np.arange(400) // 2
    score = span_f1(Spans.from_mask(mask), decode(p, threshold=0.75))
    draws = []
    for _ in range(400):
        picked = rng.integers(0, 200, 200)
        draws.append(score.formula(score.sums.reshape(200, 2, 3)[picked].sum(axis=(0, 1))))
    assert standard_error(score, group) == pytest.approx(np.std(draws), rel=0.15)
    assert np.isnan(standard_error(score, np.zeros(400)))


def test_a_truth_without_spans_is_refused():
    with pytest.raises(ValueError, match="truth: want at least one span"):
        choose_threshold(np.zeros((2, 5)), truth(np.zeros((2, 5), dtype=bool)))


def test_a_low_above_all_values_is_refused():
    with pytest.raises(ValueError, match=r"decoder.low: want at most the largest value"):
        choose_threshold(np.full((1, 5), 0.1), truth(np.ones((1, 5), dtype=bool)), decoder=Decoder(low=0.5))


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"values: want shape \(1, 5\), got \(1, 4\)"):
        choose_threshold(np.zeros((1, 4)), truth(np.ones((1, 5), dtype=bool)))
