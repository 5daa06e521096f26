import numpy as np
import pytest

from moola_data.posterior import posterior
from moola_data.spans import check_spans, visible_spans
from moola_data.synthetic import benchmark
from moola_data.world import World


def arrays(bench):
    names = ("open", "high", "low", "close")
    return [getattr(bench.bars, k) for k in names] + [bench.truth.start, bench.truth.end, bench.posterior]


def test_the_same_seed_is_the_same_benchmark():
    one, two, other = (benchmark(5, seed=s, noise="typical") for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(two), strict=True))
    assert np.array_equal(one.spans.start, two.spans.start)
    assert not np.array_equal(one.bars.close, other.bars.close)


def test_noise_touches_the_labels_only():
    clean, noisy = (benchmark(60, seed=1, noise=noise) for noise in ("none", "hasty"))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(clean), arrays(noisy), strict=True))
    assert clean.ceiling == noisy.ceiling
    assert len(noisy.spans) < len(clean.spans)


@pytest.mark.parametrize("per_stretch", [1, 4])
def test_bars_and_spans_are_sound(per_stretch):
    bench = benchmark(40, seed=2, per_stretch=per_stretch, noise="careful", unlabelled=500)
    bars = bench.bars
    assert (bars.low > 0).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (np.diff(bars.time) > np.timedelta64(0, "ns")).all()
    check_spans(bench.spans, bars)
    check_spans(bench.truth, bars)
    assert np.array_equal(bars.segment[bench.starts], bars.segment[bench.starts + bench.length - 1])
    assert np.array_equal(bench.group, bars.segment[bench.starts])


def test_spans_are_the_expansions_of_the_hidden_regimes():
    bench = benchmark(50, seed=3)
    kind = np.array([name.startswith("expansion") for name in bench.regime_names])[bench.regime]
    marked = np.zeros(len(kind), bool)
    for start, end in zip(bench.truth.start, bench.truth.end, strict=True):
        assert not marked[start : end + 1].any()
        marked[start : end + 1] = True
    assert np.array_equal(marked, kind)
    for start, type_ in zip(bench.truth.start, bench.truth.type, strict=True):
        assert bench.regime_names[bench.regime[start]].endswith(str(type_))


def test_windows_show_none_one_or_several_expansions():
    bench = benchmark(300, seed=4)
    seen = visible_spans(bench.truth, bench.starts, length=bench.length)
    count = np.bincount(np.bincount(seen.window, minlength=300))
    assert (count[:3] > 10).all()


def test_the_unlabelled_stretch_has_bars_and_no_labels():
    bench = benchmark(10, seed=5, unlabelled=5000)
    assert bench.unlabelled_from == 10 * 210
    assert len(bench.bars) == 10 * 210 + 5000
    assert (bench.spans.start < bench.unlabelled_from).all()
    assert (bench.truth.start >= bench.unlabelled_from).any()
    without = benchmark(10, seed=5)
    assert np.array_equal(without.bars.close, bench.bars.close[: bench.unlabelled_from])
    assert np.array_equal(without.spans.start, bench.spans.start)
    assert np.isnan(bench.posterior[bench.unlabelled_from :]).all()
    assert not np.isnan(bench.posterior[: bench.unlabelled_from]).any()


def test_anybody_can_compute_the_posterior_again_from_the_bars():
    bench = benchmark(8, seed=6, per_stretch=4)
    again = posterior(bench.bars, world=bench.world)
    assert np.abs(again.label - bench.posterior).max() < 1e-9
    assert np.abs(again.causal - bench.causal).max() < 1e-9


def test_rounding_moves_prices_to_ticks_and_keeps_the_ceiling():
    exact, rounded = (benchmark(20, seed=7, world=World(tick=tick)) for tick in (0.0, 0.25))
    assert np.array_equal(rounded.bars.close * 4 % 1, np.zeros(len(rounded.bars)))
    assert np.abs(exact.bars.close - rounded.bars.close).max() <= 0.125 + 1e-9
    assert abs(exact.ceiling.bar.f1 - rounded.ceiling.bar.f1) < 1e-9


def test_snr_and_signal_replace_those_of_the_world():
    bench = benchmark(2, seed=1, snr=2.0, signal=0, world=World(snr=0.5))
    assert (bench.world.snr, bench.world.signal) == (2.0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n: want 1 or more, got 0"),
        ({"per_stretch": 3}, "per_stretch: want a divisor of n=4, got 3"),
        ({"warmup": -1}, "warmup: want 0 or more, got -1"),
        ({"noise": "loud"}, "noise: want 'none', 'careful', 'typical' or 'hasty', got 'loud'"),
    ],
)
def test_a_bad_argument_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        benchmark(**{"n": 4, "seed": 1, **change})
