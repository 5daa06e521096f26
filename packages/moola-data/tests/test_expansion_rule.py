"""The rule labeller and the five-bar move, against slow references and under symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moola_data.expansion_rule import ExpansionRule, label_expansions
from moola_data.five_bar_move import five_bar_move
from moola_data.schema import Bars

SHORT = ExpansionRule(
    min_bars=3,
    max_bars=7,
    min_displacement=2,
    min_efficiency=0.6,
    atr_bars=6,
    before_bars=8,
    min_retracement=1,
)


def make_bars(seed, n=200, barrier=120, scale=1.0, flip=False):
    """A walk on ticks of 1/4, so that scaling by powers of two and mirroring are exact."""
    rng = np.random.default_rng(seed)
    step = rng.integers(-4, 5, n) + 3 * np.repeat(rng.integers(-1, 2, n // 10), 10)
    close = 10_000 + np.cumsum(step) / 4
    opened = close - step / 4 + rng.integers(-1, 2, n) / 4
    high = np.maximum(opened, close) + rng.integers(0, 3, n) / 4
    low = np.minimum(opened, close) - rng.integers(0, 3, n) / 4
    if flip:
        opened, high, low, close = 20_000 - opened, 20_000 - low, 20_000 - high, 20_000 - close
    return Bars(
        time=np.arange(n).astype("M8[m]").astype("M8[ns]"),
        open=opened * scale,
        high=high * scale,
        low=low * scale,
        close=close * scale,
        symbol=np.zeros(n, np.int32),
        segment=(np.arange(n) >= barrier).astype(np.int64),
        symbols=("A",),
    )


def true_range(bars, i, head):
    previous = bars.close[i - 1] if i > head else bars.close[i]
    if i == head:
        return bars.high[i] - bars.low[i]
    return max(bars.high[i], previous) - min(bars.low[i], previous)


def slow_labels(bars, rule):
    """Every run of every segment, judged one by one from the definition."""
    found = []
    for segment in np.unique(bars.segment):
        inside = np.flatnonzero(bars.segment == segment)
        head, last = inside[0], inside[-1]
        for s in range(head + max(rule.atr_bars, rule.before_bars), last + 1):
            atr = math.fsum(true_range(bars, i, head) for i in range(s - rule.atr_bars, s)) / rule.atr_bars
            for size in range(rule.min_bars, rule.max_bars + 1):
                e = s + size - 1
                if e > last:
                    continue
                closes = bars.close[s - 1 : e + 1]
                steps = np.diff(closes)
                net = closes[-1] - closes[0]
                way = np.sign(net)
                if way == 0 or steps[0] * way <= 0 or steps[-1] * way <= 0:
                    continue
                far = abs(net) >= atr * rule.min_displacement * np.sqrt(size / rule.min_bars)
                straight = abs(net) >= rule.min_efficiency * np.abs(steps).sum()
                if far and straight:
                    before = bars.close[s - rule.before_bars : s]
                    back = (way * (before - closes[0])).max() / atr
                    strength = abs(net) / (atr * np.sqrt(size))
                    found.append((-strength, s, e, int(back >= rule.min_retracement)))
    kept = []
    for _, s, e, kind in sorted(found):
        if all(s > b + rule.min_gap or e < a - rule.min_gap for a, b, _ in kept):
            kept.append((s, e, kind))
    return sorted(kept)


def rows(spans):
    return list(zip(spans.start.tolist(), spans.end.tolist(), spans.type.tolist(), strict=True))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_labels_equal_a_slow_reference(seed, gap):
    rule = SHORT.model_copy(update={"min_gap": gap})
    bars = make_bars(seed)
    assert rows(label_expansions(bars, rule)) == slow_labels(bars, rule)


def test_the_reference_finds_spans_of_both_types():
    kinds = [kind for seed in range(10) for *_, kind in slow_labels(make_bars(seed), SHORT)]
    assert {0, 1} == set(kinds)
    assert len(kinds) > 30


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.25, 1, 8]), st.booleans())
def test_labels_do_not_change_with_scale_or_mirror(seed, scale, flip):
    bars, other = make_bars(seed), make_bars(seed, scale=scale, flip=flip)
    assert rows(label_expansions(bars, SHORT)) == rows(label_expansions(other, SHORT))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_labels_keep_length_gap_and_segment(seed):
    bars = make_bars(seed, n=400, barrier=210)
    spans = label_expansions(bars, SHORT)
    size = spans.end - spans.start + 1
    assert np.all((size >= 3) & (size <= 7))
    assert np.all(spans.start[1:] - spans.end[:-1] > 1)
    assert np.array_equal(bars.segment[spans.start - 8], bars.segment[spans.end])


def test_a_straight_run_out_of_a_flat_market_is_a_consolidation_and_after_a_fall_a_retracement():
    steps = [0.25, -0.25] * 20 + [3] * 6 + [-0.25, 0.25] * 20
    fallen = [0.25, -0.25] * 18 + [-2, -2, -2, 0.25] + [3] * 6 + [-0.25, 0.25] * 20
    for way, kind in ((steps, 0), (fallen, 1)):
        close = 100 + np.cumsum(way)
        bars = Bars(
            time=np.arange(len(close)).astype("M8[m]").astype("M8[ns]"),
            open=close,
            high=close + 0.25,
            low=close - 0.25,
            close=close,
            symbol=np.zeros(len(close), np.int32),
            segment=np.zeros(len(close), np.int64),
            symbols=("A",),
        )
        assert (40, 45, kind) in rows(label_expansions(bars))


def test_the_annotator_is_the_rule_with_its_parameters():
    spans = label_expansions(make_bars(0), SHORT)
    assert spans.annotator.startswith("ExpansionRule(min_bars=3, max_bars=7")
    assert spans.label == "expansion"


def test_a_rule_with_crossed_bounds_is_refused():
    with pytest.raises(ValidationError, match="max_bars: want at least min_bars = 9, got 5"):
        ExpansionRule(min_bars=9, max_bars=5)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 12))
def test_the_move_equals_a_slow_reference(seed, back, atr_bars):
    bars = make_bars(seed, n=60, barrier=25)
    found = five_bar_move(bars, bars_back=back, atr_bars=atr_bars)
    for t in range(60):
        head = 0 if t < 25 else 25
        if t - head < back:
            assert np.isnan(found[t])
            continue
        ranges = [true_range(bars, i, head) for i in range(max(head, t - atr_bars + 1), t + 1)]
        total = sum(ranges)
        wanted = abs(bars.close[t] - bars.close[t - back]) / (total / len(ranges)) if total else np.nan
        assert found[t] == pytest.approx(wanted, nan_ok=True)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 200))
def test_the_move_of_a_prefix_is_the_prefix_of_the_move(seed, size):
    bars = make_bars(seed)
    arrays = {
        n: getattr(bars, n)[:size] for n in ("time", "open", "high", "low", "close", "symbol", "segment")
    }
    prefix = Bars(**arrays, symbols=bars.symbols)
    assert np.array_equal(five_bar_move(prefix), five_bar_move(bars)[:size], equal_nan=True)


def test_a_market_that_stands_still_has_no_move_in_atr():
    flat = np.full(20, 5.0)
    bars = make_bars(0, n=20, barrier=30).model_copy(
        update={"open": flat, "high": flat, "low": flat, "close": flat}
    )
    assert np.isnan(five_bar_move(bars)).all()
    assert len(label_expansions(bars)) == 0
