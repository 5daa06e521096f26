import numpy as np
import pytest

from moola_eval.bootstrap import FewClustersWarning, draw_weights, interval, numbered, resampled
from moola_eval.score import mean


def score(values):
    values = np.asarray(values, dtype=np.float64)
    return mean("x", "mean", values, np.ones(len(values)), unit="rows")


def test_resampled_values_equal_a_loop_over_drawn_clusters():
    values = np.random.default_rng(0).random(80)
    group = np.repeat(np.arange(40), 2)
    drawn = np.random.default_rng(5).integers(0, 40, size=(50, 40))
    expected = [np.concatenate([values[group == g] for g in row]).mean() for row in drawn]
    (found,) = resampled([score(values)], group, 40, seed=5, resamples=50)
    assert np.allclose(found, expected, atol=1e-12)


def test_chunks_change_nothing(monkeypatch):
    whole = np.concatenate(list(draw_weights(40, seed=5, resamples=50)))
    monkeypatch.setattr("moola_eval.bootstrap.CHUNK_DRAWS", 100)
    assert np.array_equal(whole, np.concatenate(list(draw_weights(40, seed=5, resamples=50))))


def test_groups_add_up_whatever_their_numbers_and_order():
    index, count = numbered([7, -3, 7, -3], 4)
    values = score([0.0, 2.0, 4.0, 6.0]).weighted(index, count)(np.eye(2))
    assert values.tolist() == [4.0, 2.0]


def test_a_mean_gets_about_two_standard_errors_each_side():
    values = np.random.default_rng(1).normal(size=400)
    found = interval(score(values), groups=np.arange(400), seed=0, resamples=4000)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)


def test_repeating_rows_within_a_cluster_does_not_narrow_the_interval():
    values = np.random.default_rng(1).normal(size=60)
    alone = interval(score(values), groups=np.arange(60), seed=0)
    repeated = interval(score(np.repeat(values, 50)), groups=np.repeat(np.arange(60), 50), seed=0)
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))


def test_one_cluster_is_refused():
    with pytest.raises(ValueError, match="groups: want at least 2 clusters for an interval, got 1"):
        interval(score([1.0, 2.0]), groups=[4, 4], seed=0)


def test_few_clusters_are_warned_of():
    with pytest.warns(FewClustersWarning, match="want 30 clusters or more, got 29"):
        interval(score(np.arange(29.0)), groups=np.arange(29), seed=0)


def test_the_seed_decides():
    values = np.random.default_rng(1).normal(size=60)
    a, b, c = (interval(score(values), groups=np.arange(60), seed=s) for s in (0, 0, 1))
    assert a == b != c


def test_undefined_resamples_are_counted_and_left_out():
    values, count = np.zeros(40), np.zeros(40)
    values[0], count[0] = 3.0, 1.0
    found = interval(mean("x", "mean", values, count, unit="rows"), groups=np.arange(40), seed=0)
    assert 0 < found.undefined < 2000
    assert (found.low, found.high) == (3.0, 3.0)


def test_bca_moves_towards_the_long_tail_of_a_skewed_mean():
    values = np.random.default_rng(2).exponential(size=40)
    plain = interval(score(values), groups=np.arange(40), seed=0, resamples=4000)
    moved = interval(score(values), groups=np.arange(40), seed=0, resamples=4000, method="bca")
    assert moved.low > plain.low
    assert moved.high > plain.high


def test_bca_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).exponential(size=50)
    ours = interval(score(values), groups=np.arange(50), seed=0, resamples=40_000, method="bca")
    theirs = bootstrap((values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)
