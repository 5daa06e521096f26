"""The origin features against a slow reference written from their definitions."""

from fractions import Fraction

import numpy as np
import pytest

from moola_data.features import compute_features, feature_set
from moola_data.schema import Bars


def walk(n: int, seed: int, *, tick: float = 0.0) -> Bars:
    """A random walk; on a tick grid, ties are frequent."""
    rng = np.random.default_rng(seed)
    close = 100 + np.cumsum(rng.standard_t(4, n)) * 0.1
    open_ = np.concatenate([[100.0], close[:-1]]) + rng.normal(0, 0.02, n)
    high = np.maximum(open_, close) + rng.exponential(0.05, n)
    low = np.minimum(open_, close) - rng.exponential(0.05, n)
    prices = [open_, high, low, close]
    if tick:
        prices = [np.round(price / tick) * tick for price in prices]
    return bars_of(*prices)


def bars_of(open_, high, low, close, segment=None) -> Bars:
    n = len(open_)
    return Bars(
        time=np.datetime64("2024-01-01", "ns") + np.arange(n) * np.timedelta64(60, "s"),
        open=open_,
        high=high,
        low=low,
        close=close,
        symbol=np.zeros(n, np.int32),
        segment=np.zeros(n, np.int64) if segment is None else segment,
        symbols=("",),
    )


def part(bars: Bars, start: int, stop: int) -> Bars:
    arrays = ("time", "open", "high", "low", "close", "symbol", "segment")
    return bars.model_copy(update={name: getattr(bars, name)[start:stop] for name in arrays})


def clip(x, low, high):
    return min(max(x, low), high)


def reference(bars: Bars, number=float) -> np.ndarray:
    """Bar by bar, in the words of the definition; with `number=Fraction` every comparison is exact."""
    k, q, eps = number(6) / 5, number(1) / 2, number(1) / 10**6
    rows, trs = [], []
    trend = extreme = at = candidate = candidate_at = high_swing = low_swing = last = ema = None
    for i in range(len(bars)):
        o, h, l, c = (number(float(x[i])) for x in (bars.open, bars.high, bars.low, bars.close))  # noqa: E741
        ema = h - l if i == 0 else number(2) / 21 * (h - l) + (1 - number(2) / 21) * ema
        if number is Fraction:
            ema = Fraction(float(ema))  # else its denominators grow without end
        if i > 0:
            trs = [*trs, max(h - l, abs(h - last), abs(l - last))][-10:]
            atr = sum(trs) / len(trs)
            if trend is None:
                if atr > 0:
                    trend, extreme, at = "up", c, i
            else:
                up = trend == "up"
                if (h > extreme) if up else (l < extreme):
                    extreme, at = (h, i) if up else (l, i)
                if candidate is None or ((h > candidate) if up else (l < candidate)):
                    candidate, candidate_at = (h, i) if up else (l, i)
                move = extreme - c if up else c - extreme
                turned = atr > 0 and move >= k * atr
                if not turned and atr > 0 and i - candidate_at <= 5:
                    turned = (candidate - l if up else h - candidate) >= q * atr
                if turned:
                    if up:
                        high_swing, trend, extreme = (at, extreme), "down", l
                    else:
                        low_swing, trend, extreme = (at, extreme), "up", h
                    at, candidate, candidate_at = i, extreme, i
        last = c
        atr = sum(trs) / len(trs) if trs else 0
        atr = atr if atr != 0 else number(1) / 10**8
        r = max(h - l, eps)
        ratio = clip((h - l) / max(ema, eps), 0, 3)
        body = clip((c - o) / r, -1, 1)
        far_high = clip((high_swing[1] - c) / atr, -3, 3) if high_swing else 0
        far_low = clip((c - low_swing[1]) / atr, -3, 3) if low_swing else 0
        since_high = clip(number(i - high_swing[0]) / 105, 0, 3) if high_swing else 0
        since_low = clip(number(i - low_swing[0]) / 105, 0, 3) if low_swing else 0
        leg = {"up": 1, "down": -1, None: 0}[trend]
        row = [
            clip((o - l) / r, 0, 1),
            clip((c - l) / r, 0, 1),
            body,
            clip((h - max(o, c)) / r, 0, 1),
            clip((min(o, c) - l) / r, 0, 1),
            ratio,
            far_high,
            far_low,
            since_high,
            since_low,
            clip(ratio * leg * body, -2, 2),
            clip((1 - ratio / 3) * (1 - abs(body)) * (since_high + since_low) / 2, 0, 3),
        ]
        rows.append([float(x) for x in row])
    return np.array(rows)


@pytest.mark.parametrize("seed", range(4))
def test_features_equal_the_definition_bar_by_bar(seed):
    bars = walk(3_000, seed)
    np.testing.assert_allclose(compute_features(bars).values, reference(bars), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_ties_on_a_tick_grid_are_decided_as_in_exact_arithmetic(seed):
    bars = walk(1_500, seed, tick=0.25)
    np.testing.assert_allclose(compute_features(bars).values, reference(bars, Fraction), rtol=0, atol=1e-6)


def test_bars_without_any_range_give_finite_features():
    flat = np.full(40, 50.0)
    values = compute_features(bars_of(flat, flat, flat, flat)).values
    assert values[:, 2:].max() == 0
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, reference(bars_of(flat, flat, flat, flat)).astype(np.float32))


def test_a_hand_computed_bar():
    one = bars_of(*(np.array([x]) for x in (101.0, 104.0, 100.0, 103.0)))
    wanted = [0.25, 0.75, 0.5, 0.25, 0.25, 1.0, 0, 0, 0, 0, 0, 0]  # range over its own average is 1
    np.testing.assert_allclose(compute_features(one).values[0], wanted, rtol=1e-6)


@pytest.mark.parametrize("tick", [0.0, 0.25])
def test_prices_times_ten_change_nothing(tick):
    bars = walk(20_000, 7, tick=tick)
    scaled = bars_of(*(10 * x for x in (bars.open, bars.high, bars.low, bars.close)))
    difference = np.abs(compute_features(bars).values - compute_features(scaled).values)
    assert difference.max() < 1e-6


def test_features_of_a_prefix_are_the_prefix_of_the_features():
    bars = walk(5_000, 3)
    whole = compute_features(bars).values
    for stop in np.random.default_rng(0).integers(1, len(bars), 200):
        np.testing.assert_array_equal(compute_features(part(bars, 0, stop)).values, whole[:stop])


def test_a_segment_begins_as_if_nothing_had_been_before():
    bars = walk(600, 5)
    split = bars.model_copy(update={"segment": (np.arange(600) >= 250).astype(np.int64)})
    together = compute_features(split).values
    np.testing.assert_array_equal(together[:250], compute_features(part(bars, 0, 250)).values)
    np.testing.assert_array_equal(together[250:], compute_features(part(bars, 250, 600)).values)


def test_values_stay_in_the_declared_range():
    bars = walk(20_000, 11)
    values = compute_features(bars).values
    for column, feature in zip(values.T, feature_set("origin").features, strict=True):
        assert column.min() >= feature.low, feature.name
        assert column.max() <= feature.high, feature.name
