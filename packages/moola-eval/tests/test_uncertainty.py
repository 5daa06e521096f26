"""Comparison, Holm, power, trials, seeds, running sums."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.bars import bar_f1
from moola_eval.comparison import compare, holm
from moola_eval.power import power_of
from moola_eval.running import Running
from moola_eval.score import f_score, mean
from moola_eval.seeds import seed_spread
from moola_eval.trials import Ledger, deflated, expected_maximum


def f1(seed, n, rate=0.5):
    rng = np.random.default_rng(seed)
    tp = rng.binomial(3, rate, n).astype(float)
    return f_score("f", "F", tp=tp, n_pred=tp + rng.integers(0, 3, n), n_true=np.full(n, 3.0))


def average(values):
    values = np.asarray(values, dtype=float)
    return mean("x", "mean", values, np.ones(len(values)), unit="rows")


def test_exact_p_value_equals_trying_every_exchange():
    a, b = f1(0, 12), f1(1, 12)
    groups = np.arange(12) // 2
    extreme = 0
    for swap in itertools.product([False, True], repeat=6):
        rows = np.repeat(swap, 2)[:, None]
        one, two = np.where(rows, b.sums, a.sums), np.where(rows, a.sums, b.sums)
        extreme += abs(a.formula(one.sum(0)) - b.formula(two.sum(0))) >= abs(a.value - b.value) - 1e-12
    found = compare(a, b, groups=groups, seed=0)
    assert found.exact
    assert found.permutations == 64
    assert found.p_value == extreme / 64


def test_drawn_exchanges_agree_with_all_of_them():
    a, b = f1(0, 16, 0.6), f1(1, 16, 0.4)
    exact = compare(a, b, groups=np.arange(16), seed=0, permutations=2**16)
    drawn = compare(a, b, groups=np.arange(16), seed=0, permutations=20_000)
    assert exact.exact
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.02)


def test_a_model_does_not_differ_from_itself():
    a = f1(0, 40)
    found = compare(a, a, groups=np.arange(40), seed=0, permutations=500)
    assert (found.delta, found.p_value) == (0.0, 1.0)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_swapping_the_models_turns_the_sign_only():
    a, b = f1(0, 10, 0.7), f1(1, 10, 0.3)
    forth, back = (compare(*pair, groups=np.arange(10), seed=0) for pair in ((a, b), (b, a)))
    assert forth.p_value == back.p_value
    assert forth.interval.low == pytest.approx(-back.interval.high)


def test_a_clear_difference_is_found():
    found = compare(f1(0, 60, 0.9), f1(1, 60, 0.3), groups=np.arange(60), seed=0, permutations=999)
    assert found.p_value == 1 / 1000
    assert found.interval.low > 0


@pytest.mark.slow
def test_p_values_of_equal_models_are_uniform():
    from scipy.stats import kstest

    rng = np.random.default_rng(0)
    values = []
    for i in range(2000):
        scores = []
        for _ in range(2):
            tp = rng.binomial(8, 0.5, 40).astype(float)
            found = tp + rng.binomial(8, 0.4, 40)
            scores.append(f_score("f", "F", tp=tp, n_pred=found, n_true=np.full(40, 8.0)))
        pair = compare(*scores, groups=np.arange(40), seed=i, resamples=1, permutations=999)
        values.append(pair.p_value)
    assert kstest(values, "uniform").pvalue > 0.01
    for level in (0.01, 0.05, 0.1):
        assert np.mean(np.array(values) <= level) == pytest.approx(level, abs=3 * np.sqrt(level / 2000))


def test_scores_of_different_rules_are_not_compared():
    with pytest.raises(ValueError, match="b: want a score of"):
        compare(f1(0, 5), average(np.ones(5)), groups=np.arange(5), seed=0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_holm_raises_every_p_value_and_keeps_their_order(values):
    before = {str(i): p for i, p in enumerate(values)}
    after = holm(before)
    assert all(p <= after[name] <= 1 for name, p in before.items())
    names = sorted(before, key=lambda name: before[name])
    assert all(after[x] <= after[y] for x, y in itertools.pairwise(names))
    assert after[names[0]] == min(1.0, len(values) * before[names[0]])


def test_holm_leaves_undefined_ones_out():
    adjusted = holm({"a": 0.02, "b": float("nan")})
    assert adjusted["a"] == 0.02
    assert np.isnan(adjusted["b"])


def test_power_of_a_mean_is_that_of_a_normal_test():
    values = np.random.default_rng(0).normal(size=400)
    found = power_of(average(values), groups=np.arange(400), seed=0, resamples=4000)
    error = values.std() / 20
    assert found.standard_error == pytest.approx(error, rel=0.05)
    assert found.smallest_difference == pytest.approx((1.96 + 0.8416) * error, rel=0.05)
    assert found.clusters_for(found.half_width / 2) == 1600


def test_two_models_on_the_same_windows_need_a_smaller_difference():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=100)
    a, b = average(hard + rng.normal(0, 0.1, 100)), average(hard + rng.normal(0, 0.1, 100))
    alone = power_of(a, groups=np.arange(100), seed=0)
    paired = power_of(a, other=b, groups=np.arange(100), seed=0)
    assert paired.smallest_difference < alone.smallest_difference / 3


@pytest.mark.parametrize("k", [2, 10, 100])
def test_expected_maximum_agrees_with_simulation(k):
    best = np.random.default_rng(0).normal(size=(40_000, k)).max(axis=1).mean()
    assert expected_maximum(k) == pytest.approx(best, abs=0.06)


def test_the_best_of_many_equal_trials_is_deflated_to_their_mean():
    rng = np.random.default_rng(0)
    best = (0.5 + 0.03 * rng.normal(size=(5000, 20))).max(axis=1)
    kept = [deflated(v, standard_error=0.03, trials=20) for v in best]
    assert np.mean(kept) == pytest.approx(0.5, abs=0.003)
    assert deflated(3.0, standard_error=0.5, trials=20, higher_is_better=False) > 3.0
    assert deflated(0.5, standard_error=0.03, trials=1) == 0.5


def test_the_ledger_counts_configurations_of_one_data_set_and_survives(tmp_path):
    path = tmp_path / "trials.jsonl"
    ledger = Ledger(path)
    assert ledger.record("d1", configuration="a", metric="f", value=0.5) == 1
    assert ledger.record("d1", configuration="a", metric="f", value=0.5) == 1
    assert ledger.record("d1", configuration="b", metric="f", value=float("nan")) == 2
    assert ledger.record("d2", configuration="c", metric="f", value=0.1) == 1
    again = Ledger(path)
    assert again.trials == ledger.trials
    assert again.count("d1", metric="f") == 2
    assert [json.loads(line)["value"] for line in path.read_text().splitlines()] == [0.5, 0.5, None, 0.1]
    assert [p.name for p in tmp_path.iterdir()] == ["trials.jsonl"]


def test_a_foreign_line_in_the_ledger_is_refused(tmp_path):
    path = tmp_path / "trials.jsonl"
    Ledger(path).record("d", configuration="a", metric="f", value=0.5)
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(ValueError, match=r"path: want a trial, got .* in row 2"):
        Ledger(path)


def test_seeds_and_data_have_spreads_of_their_own():
    rng = np.random.default_rng(0)
    window, seeds = rng.normal(0, 1, 100), rng.normal(0, 0.5, 6)
    found = seed_spread([average(window + s) for s in seeds], groups=np.arange(100), seed=0)
    assert found.over_seeds == pytest.approx(seeds.std(ddof=1))
    assert found.over_data == pytest.approx(window.std() / 10, rel=0.1)
    assert found.interval.low < found.mean < found.interval.high
    with pytest.raises(ValueError, match="scores: want at least 2 seeds, got 1"):
        seed_spread([average(window)], groups=np.arange(100), seed=0)


def test_running_sums_equal_the_whole_in_any_division():
    rng = np.random.default_rng(0)
    true, pred = rng.random((2, 30, 11)) < 0.4
    whole = bar_f1(true, pred)
    ranks = [Running(bar_f1) for _ in range(3)]
    for i, rank in enumerate(ranks):
        for j in range(i, 30, 3):
            rank.update(true[j : j + 1], pred[j : j + 1])
    assert np.array_equal(sum(r.sums for r in ranks), whole.sums.sum(axis=0))
    for other in ranks[1:]:
        ranks[0].merge(other)
    assert ranks[0].compute().value == whole.value
    ranks[0].reset()
    with pytest.raises(ValueError, match="compute: want at least one update"):
        ranks[0].compute()
