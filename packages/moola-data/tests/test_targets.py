"""Every target: its values by a slow reference, and back through its decoder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.countdown import (
    countdown,
    countdown_starts,
    decode_bucket,
    decode_countdown,
    distance_bucket,
    encode_countdown,
    informative_band,
)
from moola_data.pointers import decode_pointers, encode_pointers, pointers_in_bars
from moola_data.span_mask import (
    WindowRuns,
    decode_bounds,
    decode_mask,
    decode_tags,
    soft_mask,
    span_bounds,
    span_mask,
    span_tags,
)

K = 30


def runs(rows):
    columns = zip(*sorted(rows), strict=True) if rows else ([], [], [])
    return WindowRuns(*(np.array(c, np.int64) for c in columns))


def rows(found):
    return sorted(zip(*(a.tolist() for a in (found.window, found.start, found.end)), strict=True))


any_spans = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, K - 1), st.integers(0, 12)).map(
        lambda r: (r[0], r[1], min(r[1] + r[2], K - 1))
    ),
    max_size=8,
)


@st.composite
def apart(draw, gap):
    """Spans of three windows, in order, with at least `gap` bars between two."""
    found = []
    for window in range(3):
        at = draw(st.integers(0, 8))
        while at < K and len(found) < 12:
            end = min(at + draw(st.integers(0, 7)), K - 1)
            found.append((window, at, end))
            at = end + 1 + gap + draw(st.integers(0, 12))
    return found


@settings(deadline=None, max_examples=60)
@given(any_spans)
def test_the_mask_is_the_union_of_the_spans(spans):
    mask = span_mask(runs(spans), windows=3, length=K)
    wanted = [[any(w == i and s <= t <= e for i, s, e in spans) for t in range(K)] for w in range(3)]
    assert mask.dtype == np.float32
    assert np.array_equal(mask, wanted)


@settings(deadline=None, max_examples=60)
@given(apart(gap=1))
def test_masks_and_inside_tags_give_separate_spans_back(spans):
    given_runs = runs(spans)
    assert rows(decode_mask(span_mask(given_runs, windows=3, length=K))) == spans
    assert rows(decode_mask(soft_mask(given_runs, windows=3, length=K), threshold=1)) == spans
    assert rows(decode_tags(span_tags(given_runs, windows=3, length=K))) == spans


@settings(deadline=None, max_examples=60)
@given(apart(gap=0))
def test_begin_inside_tags_give_touching_spans_back(spans):
    tags = span_tags(runs(spans), windows=3, length=K, scheme="begin-inside")
    assert rows(decode_tags(tags, scheme="begin-inside")) == spans


def test_an_inside_tag_after_outside_opens_a_span():
    assert rows(decode_tags(np.array([[0, 2, 2, 1, 0, 2]]), scheme="begin-inside")) == [
        (0, 1, 2),
        (0, 3, 3),
        (0, 5, 5),
    ]


def test_a_probability_equal_to_the_threshold_is_inside():
    assert rows(decode_mask(np.array([[0.4, 0.5, 0.3]]), threshold=0.5)) == [(0, 1, 1)]


@settings(deadline=None, max_examples=60)
@given(any_spans)
def test_the_soft_mask_falls_by_a_quarter_a_bar_from_a_half(spans):
    soft = soft_mask(runs(spans), windows=3, length=K)
    for w in range(3):
        bars = [t for i, s, e in spans if i == w for t in range(s, e + 1)]
        for t in range(K):
            d = min((abs(t - b) for b in bars), default=K)
            assert soft[w, t] == (1 if d == 0 else max(0.5 - 0.25 * d, 0))


@settings(deadline=None, max_examples=60)
@given(any_spans)
def test_the_countdown_runs_to_the_nearest_start_and_to_the_next_of_two(spans):
    found = countdown(runs(spans), windows=3, length=K)
    for w in range(3):
        starts = [s for i, s, _ in spans if i == w]
        for t in range(K):
            # Of equal distances the larger, that is the positive one, comes last.
            nearest = max((s - t for s in starts), key=lambda c: (-abs(c), c), default=np.nan)
            assert found[w, t] == nearest or (np.isnan(nearest) and np.isnan(found[w, t]))


@settings(deadline=None, max_examples=60)
@given(any_spans, st.sampled_from(["raw", "clipped", "normalised"]))
def test_every_form_of_the_countdown_gives_the_starts_back(spans, form):
    values = countdown(runs(spans), windows=3, length=K, form=form)
    raw = countdown(runs(spans), windows=3, length=K)
    decoded = decode_countdown(values, form=form)
    wanted = raw if form == "raw" else encode_countdown(raw, form="clipped")
    assert np.allclose(decoded, wanted, atol=1e-5, equal_nan=True)
    starts = sorted({(w, s) for w, s, _ in spans})
    assert list(zip(*(a.tolist() for a in countdown_starts(decoded)), strict=True)) == starts


def test_a_known_span_of_105_bars_has_the_known_targets():
    one = runs([(0, 50, 65)])
    assert span_mask(one, windows=1, length=105).sum() == 16
    raw, clipped, normal = (
        countdown(one, windows=1, length=105, form=f)[0] for f in ("raw", "clipped", "normalised")
    )
    assert raw[[45, 50, 55]].tolist() == [5, 0, -5]
    assert clipped[[0, 104]].tolist() == [20, -20]
    assert normal[[29, 30, 40, 50, 60, 70, 90]].tolist() == [1, 1, 0.75, 0.5, 0.25, 0, 0]
    pointers = encode_pointers(50, 65, length=105, encoding="origin")
    assert pointers == pytest.approx([57.5 / 105, 15 / 105], abs=1e-7)


@settings(deadline=None, max_examples=60)
@given(any_spans)
def test_a_bucket_holds_its_countdown_and_the_band_cuts_it(spans):
    raw = countdown(runs(spans), windows=3, length=K)
    bucket = distance_bucket(raw)
    low, high = decode_bucket(bucket)
    known = ~np.isnan(raw)
    assert np.all((low <= raw) & (raw <= high) | ~known)
    assert np.all((bucket == -1) == ~known)
    assert np.isnan(low[~known]).all()
    assert np.array_equal(informative_band(raw, band=7), np.abs(np.nan_to_num(raw, nan=99)) <= 7)


def test_buckets_are_the_same_before_and_after_a_start():
    raw = np.arange(-40, 41, dtype=np.float32)
    bucket = distance_bucket(raw)
    assert np.array_equal(bucket + bucket[::-1], np.full(81, 10))
    assert np.unique(bucket).tolist() == list(range(11))


@settings(deadline=None, max_examples=200)
@given(st.integers(2, 2000), st.data(), st.sampled_from(["origin", "exact"]))
def test_origin_and_exact_pointers_give_the_span_back(length, data, encoding):
    start = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(start, length - 1))
    pointers = encode_pointers(start, end, length=length, encoding=encoding)
    assert np.all((pointers >= 0) & (pointers <= 1))
    s, e = decode_pointers(pointers, length=length, encoding=encoding)
    assert (round(float(s)), round(float(e))) == (start, end)
    centre, size = pointers_in_bars(pointers, length=length, encoding=encoding)
    assert centre == pytest.approx((start + end) / 2, abs=1e-3)
    assert size == pytest.approx(end - start + 1, abs=1e-3)


@pytest.mark.parametrize(
    ("span", "encoded", "decoded"),
    [
        ((10, 50), (0.288462, 0.390476), (9.695, 50.305)),
        ((52, 52), (0.5, 0.0095238), (51.505, 52.495)),
        ((0, 104), (0.5, 1.0), (0, 104)),
    ],
)
def test_strict_pointers_decode_wider_than_the_span(span, encoded, decoded):
    pointers = encode_pointers(*span, length=105, encoding="strict")
    assert pointers == pytest.approx(encoded, abs=1e-6)
    found = decode_pointers(pointers, length=105, encoding="strict")
    assert found == pytest.approx(decoded, abs=1e-3)
    widening = (1 - (span[1] - span[0] + 1) / 105) / 2
    assert (span[0] - found[0], found[1] - span[1]) == pytest.approx((widening, widening), abs=1e-4)


def test_a_span_outside_the_window_has_no_pointers():
    with pytest.raises(ValueError, match=r"end < 105, got 100..105 in row 1"):
        encode_pointers([0, 100], [1, 105], length=105, encoding="exact")


@settings(deadline=None, max_examples=60)
@given(any_spans)
def test_bounds_are_those_of_the_longest_span(spans):
    found = rows(decode_bounds(span_bounds(runs(spans), windows=3)))
    wanted = [
        max((r for r in sorted(spans) if r[0] == w), key=lambda r: (r[2] - r[1], -r[1]))
        for w in sorted({w for w, _, _ in spans})
    ]
    assert found == wanted


def test_bounds_that_end_before_they_start_are_refused():
    with pytest.raises(ValueError, match=r"end >= start, got 5..4 in row 1"):
        decode_bounds(np.array([[-1, -1], [5, 4]]))


@pytest.mark.parametrize("encode", [span_mask, soft_mask, span_tags, countdown])
@pytest.mark.parametrize("span", [(0, -1, 2), (0, 3, K), (0, 5, 4), (2, 1, 1), (-1, 1, 1)])
def test_a_span_that_leaves_its_window_has_no_targets(encode, span):
    with pytest.raises(ValueError, match=r"(window|runs): want .*, got .* in row \d"):
        encode(runs([(0, 1, 2), span]), windows=2, length=K)


def test_a_threshold_that_is_no_number_and_edges_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match="threshold: want a number, got nan"):
        decode_mask(np.zeros((1, 3), np.float32), threshold=float("nan"))
    for edges in ((3, 2), (1, 1)):
        with pytest.raises(ValueError, match=r"edges: want ascending bars, got \("):
            distance_bucket(np.zeros(2, np.float32), edges=edges)
    with pytest.raises(ValueError, match=r"bucket: want -1\.\.2, got 3 in row 1"):
        decode_bucket(np.array([0, 3]), edges=(0, 1))
