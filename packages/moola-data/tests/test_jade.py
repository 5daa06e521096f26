"""The jade features against a slow reference written from their definitions, and what they promise."""

import math

import numpy as np
import pytest

from moola_data.features import compute_features, feature_set
from moola_data.one_expansion import one_expansion
from moola_data.sample import load_sample
from moola_data.schema import Bars
from moola_data.synthetic import benchmark
from moola_data.world import World

NAMES = feature_set("jade").names
FEATURES = {feature.name: feature for feature in feature_set("jade").features}


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


def walk(n: int, seed: int, *, tick: float = 0.0, jump: float = 0.03) -> Bars:
    """A random walk with gaps between bars, on a tick grid if wanted."""
    rng = np.random.default_rng(seed)
    close = 200 + np.cumsum(rng.standard_t(4, n)) * 0.1
    open_ = np.concatenate([[200.0], close[:-1]]) + rng.standard_t(3, n) * jump
    high = np.maximum(open_, close) + rng.exponential(0.05, n)
    low = np.minimum(open_, close) - rng.exponential(0.05, n)
    prices = [open_, high, low, close]
    if tick:
        prices = [np.round(price / tick) * tick for price in prices]
    return bars_of(*prices)


def part(bars: Bars, start: int, stop: int) -> Bars:
    arrays = ("time", "open", "high", "low", "close", "symbol", "segment")
    return bars.model_copy(update={name: getattr(bars, name)[start:stop] for name in arrays})


def mirrored(bars: Bars) -> Bars:
    total = 512.0
    return bars_of(total - bars.open, total - bars.low, total - bars.high, total - bars.close)


def clip(x: float, most: float) -> float:
    return min(max(x, -most), most)


def share(part_: float, whole: float) -> float:
    return part_ / whole if whole > 0 else 0.0


def swings_of(h, l, c, tr):  # noqa: E741
    """All confirmations by the definition: (bar, side of the new leg, price and bar of the swing)."""
    found = []
    side, start, confirmed = 0, 0, 0
    for i in range(len(c)):
        last_ten = tr[max(0, i - 9) : i + 1]
        reach = 1.5 * sum(last_ten) / len(last_ten)
        stretch = range(start, i + 1)
        top = max(stretch, key=lambda j: (h[j], -j))
        bottom = min(stretch, key=lambda j: (l[j], j))
        falls = reach > 0 and top < i and h[top] - c[i] >= reach
        rises = reach > 0 and bottom < i and c[i] - l[bottom] >= reach
        if side == 0:
            if falls != rises:
                side = -1 if falls else 1
                swing = top if falls else bottom
                found.append((i, side, (h if falls else l)[swing], swing))
                start, confirmed = i, i  # the first leg's extreme is the bar that confirmed it
            continue
        if i - confirmed < 3 or not (falls if side > 0 else rises):
            continue
        swing = top if side > 0 else bottom
        found.append((i, -side, (h if side > 0 else l)[swing], swing))
        after = range(max(swing, confirmed) + 1, i + 1)
        start = min(after, key=lambda j: (l[j], j)) if side > 0 else max(after, key=lambda j: (h[j], -j))
        side, confirmed = -side, i
    return found


def reference(bars: Bars) -> dict[str, np.ndarray]:
    o, h, l, c = (x.tolist() for x in (bars.open, bars.high, bars.low, bars.close))  # noqa: E741
    n = len(c)
    last = [c[0], *c[:-1]]
    tr = [h[0] - l[0]] + [max(h[i], c[i - 1]) - min(l[i], c[i - 1]) for i in range(1, n)]
    rows = []
    found = swings_of(h, l, c, tr)
    ema, run = c[0], 0
    side, structure, broken, confirmed = 0, 0, 0, 0
    high_swing = low_swing = None
    high_open = low_open = False
    falling = rising = above = below = gap_above = gap_below = zone = None
    extreme = start = None
    for i in range(n):
        atr = sum(tr[max(0, i - 49) : i + 1]) / min(i + 1, 50)
        ten = sum(tr[max(0, i - 9) : i + 1]) / min(i + 1, 10)
        per = 1 / atr if atr > 0 else 0.0
        ema += 2 / 21 * (c[i] - ema)
        body = (c[i] > o[i]) - (c[i] < o[i])
        run = run + body if body * run > 0 else body

        turned = [f for f in found if f[0] == i]
        if side and (h[i] > extreme if side > 0 else l[i] < extreme):
            extreme = h[i] if side > 0 else l[i]
        for _, new, price, at in turned:
            first, after = side == 0, slice(max(at, confirmed) + 1, i + 1)
            side, start, confirmed = new, price, i
            if new < 0:
                high_swing, high_open = (price, at), True
                extreme = l[i] if first else min(l[after])
            else:
                low_swing, low_open = (price, at), True
                extreme = h[i] if first else max(h[after])

        if below and (c[i] < below[1] or i - below[2] > 100):
            below = None
        if above and (c[i] > above[0] or i - above[2] > 100):
            above = None
        if high_open and c[i] > high_swing[0]:
            structure, broken, high_open = 1, i, False
            below = falling and (*falling, i)
        if low_open and c[i] < low_swing[0]:
            structure, broken, low_open = -1, i, False
            above = rising and (*rising, i)
        if body < 0:
            falling = (h[i], l[i])
        if body > 0:
            rising = (h[i], l[i])

        if gap_below and (l[i] <= gap_below[1] or i - gap_below[2] > 100):
            gap_below = None
        if gap_above and (h[i] >= gap_above[0] or i - gap_above[2] > 100):
            gap_above = None
        if i >= 2 and l[i] > h[i - 2]:
            gap_below = (l[i], h[i - 2], i)
        if i >= 2 and h[i] < l[i - 2]:
            gap_above = (l[i - 2], h[i], i)

        if i >= 9 and atr > 0 and max(h[i - 9 : i + 1]) - min(l[i - 9 : i + 1]) <= 2.5 * atr:
            zone = (max(h[i - 9 : i + 1]), min(l[i - 9 : i + 1]), i)
        elif zone and i - zone[2] > 100:
            zone = None

        def near(distance, per=per):
            return 1 / (1 + max(distance, 0) * per)

        r = h[i] - l[i]
        row = {
            "body": share(c[i] - o[i], r),
            "close_place": share(2 * c[i] - h[i] - l[i], r),
            "bar_range": min(r * per, 4),
            "opening_gap": clip((o[i] - last[i]) * per, 2),
            "atr_ratio": min(ten * per, 3),
            "ema_distance": clip((c[i] - ema) * per, 6),
            "acceleration": clip((c[i] - 2 * c[max(i - 5, 0)] + c[max(i - 10, 0)]) * per / math.sqrt(10), 3),
            "streak": clip(run / 8, 1),
            "leg": side,
            "has_swing_high": float(high_swing is not None),
            "has_swing_low": float(low_swing is not None),
            "to_swing_high": clip((high_swing[0] - c[i]) * per, 6) if high_swing else 0,
            "to_swing_low": clip((c[i] - low_swing[0]) * per, 6) if low_swing else 0,
            "fresh_swing_high": 20 / (20 + i - high_swing[1]) if high_swing else 0,
            "fresh_swing_low": 20 / (20 + i - low_swing[1]) if low_swing else 0,
            "leg_size": clip((extreme - start) * per, 12) if side else 0,
            "pullback": min(share(abs(extreme - c[i]), abs(extreme - start)), 1) if side else 0,
            "structure": structure,
            "fresh_break": 20 / (20 + i - broken) if structure else 0,
            "order_block_above": near(above[1] - c[i]) if above else 0,
            "order_block_below": near(c[i] - below[0]) if below else 0,
            "fair_value_gap_above": near(gap_above[1] - c[i]) if gap_above else 0,
            "fair_value_gap_below": near(c[i] - gap_below[0]) if gap_below else 0,
            "zone_distance": clip((max(c[i] - zone[0], 0) - max(zone[1] - c[i], 0)) * per, 6) if zone else 0,
            "fresh_zone": 20 / (20 + i - zone[2]) if zone else 0,
        }
        four = slice(max(i - 3, 0), i + 1)
        row["move_in_range_3"] = share(c[i] - c[max(i - 3, 0)], max(h[four]) - min(l[four]))
        for k in (3, 5, 10, 20):
            move = c[i] - c[max(i - k, 0)]
            path = sum(abs(c[j] - last[j]) for j in range(max(i - k + 1, 0), i + 1))
            stretch = slice(max(i - k + 1, 0), i + 1)
            row[f"momentum_{k}"] = clip(move * per / math.sqrt(k), 3)
            row[f"efficiency_{k}"] = clip(share(move, path), 1)
            row[f"range_{k}"] = min((max(h[stretch]) - min(l[stretch])) * per / math.sqrt(k), 4)
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in NAMES}


@pytest.mark.parametrize(("seed", "tick"), [(0, 0.0), (1, 0.0), (2, 0.0), (3, 1 / 16), (4, 1 / 16)])
def test_features_equal_the_definition_bar_by_bar(seed, tick):
    bars = walk(1_200, seed, tick=tick)
    found, wanted = compute_features(bars, "jade"), reference(bars)
    for column, name in enumerate(found.names):
        np.testing.assert_allclose(found.values[:, column], wanted[name], rtol=0, atol=1e-6, err_msg=name)


def series() -> list[Bars]:
    """Ten series: real stocks, hidden regimes with and without ticks or signal, cut windows, random walks."""
    return [
        load_sample(),
        benchmark(15, seed=1).bars,
        benchmark(15, seed=2, snr=0.5, world=World(tick=0.25)).bars,
        benchmark(15, seed=3, signal=0).bars,
        one_expansion(40, seed=4).bars,
        *(
            walk(6_000, seed, tick=tick)
            for seed, tick in [(20, 0), (21, 0), (22, 1 / 4), (23, 1 / 64), (24, 1)]
        ),
    ]


@pytest.mark.parametrize("name", ["jade", "origin"])
def test_of_two_thousand_prefixes_of_ten_series_none_disagrees(name):
    rng = np.random.default_rng(7)
    prefixes = disagreements = 0
    for bars in series():
        whole = compute_features(bars, name).values
        for stop in rng.integers(1, len(bars), 200):
            found = compute_features(part(bars, 0, stop), name).values
            disagreements += not np.array_equal(found, whole[:stop])
            prefixes += 1
    assert (prefixes, disagreements) == (2_000, 0)


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**20])
def test_the_unit_of_price_does_not_matter(factor):
    bars = walk(3_000, 5)
    scaled = bars_of(*(factor * x for x in (bars.open, bars.high, bars.low, bars.close)))
    np.testing.assert_array_equal(
        compute_features(scaled, "jade").values, compute_features(bars, "jade").values
    )


def test_prices_upside_down_give_the_declared_mirror_image():
    bars = walk(5_000, 6, tick=1 / 64)
    here, there = compute_features(bars, "jade"), compute_features(mirrored(bars), "jade")
    for name in NAMES:
        image = FEATURES[name].mirror
        expected = image.offset + image.scale * here.values[:, NAMES.index(image.partner)]
        np.testing.assert_allclose(there.values[:, NAMES.index(name)], expected, atol=2e-6, err_msg=name)


def test_a_segment_begins_as_if_nothing_had_been_before():
    bars = walk(600, 5)
    split = bars.model_copy(update={"segment": (np.arange(600) >= 250).astype(np.int64)})
    together = compute_features(split, "jade").values
    np.testing.assert_array_equal(together[250:], compute_features(part(bars, 250, 600), "jade").values)


@pytest.mark.parametrize("price", [50.0, 1e-12])
def test_bars_without_any_range_give_zeros(price):
    flat = np.full(80, price)
    values = compute_features(bars_of(flat, flat, flat, flat), "jade").values
    assert np.array_equal(values, np.zeros_like(values))


def test_values_stay_in_the_declared_range():
    values = compute_features(walk(20_000, 11, jump=1.0), "jade").values
    for column, feature in zip(values.T, feature_set("jade").features, strict=True):
        assert column.min() >= feature.low, feature.name
        assert column.max() <= feature.high, feature.name


def test_a_leg_turns_on_closes_at_least_three_bars_apart():
    leg = compute_features(walk(20_000, 12), "jade").values[:, NAMES.index("leg")]
    turns = np.flatnonzero(leg[1:] != leg[:-1])
    assert np.diff(turns).min() >= 3
    assert len(turns) / len(leg) < 0.25


def test_what_does_not_exist_yet_is_flagged():
    values = compute_features(walk(2_000, 13), "jade").values
    column = {name: values[:, at] for at, name in enumerate(NAMES)}
    for side in ("high", "low"):
        missing = column[f"has_swing_{side}"] == 0
        assert missing[0]
        assert not missing[-1]
        assert np.all(column[f"to_swing_{side}"][missing] == 0)
        assert np.all(column[f"fresh_swing_{side}"][missing] == 0)
        assert np.all(column[f"fresh_swing_{side}"][~missing] > 0)


def test_finite_windows_forget_to_the_last_bit_and_the_others_after_their_warmup():
    bars = walk(4_000, 14)
    warm = compute_features(bars, "jade").values
    exact = [name for name in NAMES if name.startswith(("range_", "momentum_", "efficiency_"))]
    for start in np.random.default_rng(1).integers(1, 3_000, 40):
        cold = compute_features(part(bars, start, start + 600), "jade").values
        for name in NAMES:
            feature, at = FEATURES[name], NAMES.index(name)
            there = warm[start + feature.warmup : start + 600, at]
            here = cold[feature.warmup :, at]
            if name in exact:
                np.testing.assert_array_equal(here, there)
            else:
                differs = np.abs(here - there) > 1e-3 * (feature.high - feature.low)
                assert differs.mean() <= 0.05, (name, start)
