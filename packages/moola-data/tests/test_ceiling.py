import numpy as np
import pytest

from moola_data._score import bar_f1
from moola_data.semi_markov import regimes_of
from moola_data.synthetic import benchmark
from moola_data.world import World


def labels(bench, spans):
    """The (n, K) mask of spans as the windows show them."""
    mark = np.zeros(len(bench.bars) + 1, np.int64)
    np.add.at(mark, spans.start, 1)
    np.add.at(mark, spans.end + 1, -1)
    return (np.cumsum(mark)[:-1] > 0)[bench.starts[:, None] + np.arange(bench.length)]


def gaps(ceiling):
    best = (ceiling.bar, ceiling.causal_bar, ceiling.span)
    return [abs(score.f1 - score.realised) for score in best]


def test_expected_and_realised_ceilings_agree():
    ceiling = benchmark(800, seed=1, warmup=0).ceiling
    assert max(gaps(ceiling)) < 0.02
    assert abs(ceiling.label_share - 0.072) < 0.008


@pytest.mark.slow
@pytest.mark.parametrize("warmup", [0, 105])
def test_expected_and_realised_ceilings_agree_within_a_hundredth_on_3000_windows(warmup):
    assert max(gaps(benchmark(3000, seed=1, warmup=warmup).ceiling)) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("snr", "window", "stream", "causal"),
    [
        (0.5, 0.60, 0.63, 0.54),
        (0.75, 0.69, 0.725, 0.61),
        (1.0, 0.77, 0.80, 0.67),
        (1.25, 0.825, 0.855, 0.725),
        (1.5, 0.86, 0.89, 0.765),
        (2.0, 0.90, 0.93, 0.82),
    ],
)
def test_the_table_of_ceilings_holds(snr, window, stream, causal):
    alone = benchmark(3000, seed=2, snr=snr, warmup=0).ceiling
    end_to_end = benchmark(3000, seed=2, snr=snr, per_stretch=3000).ceiling
    assert abs(alone.bar.f1 - window) < 0.015
    assert abs(alone.causal_bar.f1 - causal) < 0.015
    assert abs(end_to_end.bar.f1 - stream) < 0.015


def test_without_signal_the_ceiling_is_that_of_calling_everything_an_expansion():
    bench = benchmark(600, seed=3, signal=0)
    share = regimes_of(World()).label_share
    wanted = 2 * share / (1 + share)
    ceiling = bench.ceiling
    assert abs(ceiling.bar.f1 - wanted) < 1e-9
    assert abs(ceiling.causal_bar.f1 - wanted) < 1e-9
    assert abs(ceiling.predict_all - wanted) < 1e-9
    # The best bars are then all bars, so the realised score is that of the labels' own share.
    drawn = ceiling.label_share
    assert abs(ceiling.bar.realised - 2 * drawn / (1 + drawn)) < 1e-12
    assert ceiling.span.f1 < 0.15


def test_the_best_threshold_is_half_the_best_score():
    bench = benchmark(1000, seed=4)
    p = bench.posterior[bench.starts[:, None] + np.arange(bench.length)]

    def expected(threshold):
        chosen = p >= threshold
        return 2 * p[chosen].sum() / (chosen.sum() + p.sum())

    assert abs(expected(bench.ceiling.bar.threshold) - bench.ceiling.bar.f1) < 1e-12
    assert all(expected(t) <= bench.ceiling.bar.f1 + 1e-12 for t in np.linspace(0.01, 0.99, 99))


def test_more_signal_and_more_context_raise_the_ceiling():
    low, middle, high = (benchmark(400, seed=5, snr=snr).ceiling for snr in (0.5, 1.25, 2.0))
    assert low.bar.f1 < middle.bar.f1 < high.bar.f1
    assert low.span.f1 < middle.span.f1 < high.span.f1
    short = benchmark(400, seed=5, warmup=0).ceiling
    assert short.bar.f1 < middle.bar.f1
    assert middle.causal_bar.f1 < middle.bar.f1


def test_label_noise_lowers_the_ceiling_of_the_labels_as_computed():
    for noise in ("careful", "typical", "hasty"):
        bench = benchmark(600, seed=6, noise=noise)
        ceiling = bench.label_ceiling
        assert ceiling.bar.f1 < bench.ceiling.bar.f1
        assert abs(ceiling.bar.f1 - ceiling.bar.realised) < 0.02
        assert abs(ceiling.span.f1 - ceiling.span.realised) < 0.02
        assert np.isnan(ceiling.causal_bar.f1)


def test_no_rule_of_thumb_reaches_the_ceiling():
    bench = benchmark(400, seed=7)
    bars = bench.bars
    move = np.abs(np.log(bars.close[5:] / bars.open[:-5]))
    move = np.concatenate([np.zeros(5), move])[bench.starts[:, None] + np.arange(bench.length)]
    true = labels(bench, bench.truth)
    best = max(bar_f1(move > cut, true) for cut in np.quantile(move, np.linspace(0.5, 0.99, 50)))
    assert bench.ceiling.predict_all + 0.1 < best < bench.ceiling.bar.f1 - 0.15


def test_standard_errors_match_the_spread_over_seeds():
    ceilings = [benchmark(100, seed=s, warmup=0).ceiling for s in range(30)]
    for name in ("bar", "span"):
        scores = [getattr(c, name) for c in ceilings]
        ratio = np.std([s.f1 for s in scores], ddof=1) / np.mean([s.se for s in scores])
        assert 0.6 < ratio < 1.6


def test_the_result_says_what_the_posterior_may_read():
    assert benchmark(4, seed=1, per_stretch=2).ceiling.context == (
        "all bars of a stretch: 105 of warm-up, then 2 window(s) of 105"
    )
