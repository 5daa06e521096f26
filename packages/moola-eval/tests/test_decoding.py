import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.decoding import Decoder, decode

rows = st.lists(st.integers(0, 10).map(lambda i: i / 10), min_size=1, max_size=20)


def slow(p, threshold, low, gap, shortest):
    floor = threshold if low is None else low
    found, start = [], None
    for t, value in enumerate([*p, -1.0]):
        if value >= floor and start is None:
            start = t
        if value < floor and start is not None:
            if max(p[start:t]) >= threshold:
                found.append([start, t - 1])
            start = None
    merged = []
    for span in found:
        if merged and span[0] - merged[-1][1] - 1 <= gap:
            merged[-1][1] = span[1]
        else:
            merged.append(span)
    return [tuple(s) for s in merged if s[1] - s[0] + 1 >= shortest]


@given(
    st.lists(rows, min_size=1, max_size=4),
    st.integers(0, 10),
    st.integers(0, 10),
    st.integers(0, 3),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=150)
def test_decoding_equals_a_bar_by_bar_reference(windows, high, low, gap, shortest):
    threshold = high / 10
    floor = None if low > high else low / 10
    decoder = Decoder(low=floor, merge_gap=gap, min_length=shortest)
    flat = np.concatenate([np.array(w) for w in windows])
    spans = decode(flat, threshold=threshold, lengths=[len(w) for w in windows], decoder=decoder)
    expected = [(i, *s) for i, w in enumerate(windows) for s in slow(w, threshold, floor, gap, shortest)]
    assert list(zip(spans.sequence, spans.start, spans.end, strict=True)) == expected
    for sequence, start, end, score in zip(spans.sequence, spans.start, spans.end, spans.score, strict=True):
        assert score == pytest.approx(np.mean(windows[sequence][start : end + 1]), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_a_value_equal_to_the_threshold_is_positive(dtype, value):
    assert len(decode(np.array([[value]], dtype=dtype), threshold=value)) == 1


def test_low_above_the_threshold_is_refused():
    with pytest.raises(ValueError, match=r"decoder.low: want at most the threshold 0.5, got 0.6"):
        decode(np.zeros((1, 3)), threshold=0.5, decoder=Decoder(low=0.6))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_must_be_finite(bad):
    with pytest.raises(ValueError, match=r"values: want finite numbers, got .* in row \(0, 1\)"):
        decode(np.array([[0.5, bad]]), threshold=0.5)


def test_the_whole_sequence_can_be_one_span():
    spans = decode(np.ones((2, 5)), threshold=0.5)
    assert spans.start.tolist() == [0, 0]
    assert spans.end.tolist() == [4, 4]
