import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moola_data.semi_markov import regimes_of, sample_regimes
from moola_data.world import World

lengths = st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda x: (x[0], x[0] + x[1]))
worlds = st.builds(
    World,
    expansion_bars=lengths,
    consolidation_bars=lengths,
    burst_bars=lengths,
    breakout_bars=lengths,
    reversal_bars=lengths,
    background_bars=st.floats(1.5, 60),
    consolidation_share=st.floats(0, 0.6),
    surge_share=st.floats(0, 0.4),
    expansion_after_consolidation=st.floats(0, 0.7),
    breakout_after_consolidation=st.floats(0, 0.3),
    drift_levels=st.lists(st.floats(0.1, 2), min_size=1, max_size=4).map(tuple),
)


def runs(values):
    """First bar and length of each run of equal values."""
    start = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    return start, np.diff(start, append=len(values))


@settings(deadline=None, max_examples=40)
@given(worlds)
def test_the_first_bar_is_drawn_from_the_stationary_distribution(world):
    chain = regimes_of(world)
    later = np.zeros_like(chain.initial)
    later[:, :-1] = chain.initial[:, 1:]
    for source, target, p in zip(chain.source, chain.target, chain.chance, strict=True):
        later[target] += chain.initial[source, 0] * p * chain.duration[target]
    assert chain.initial.min() >= 0
    assert abs(chain.initial.sum() - 1) < 1e-12
    assert np.abs(later - chain.initial).max() < 1e-12


@settings(deadline=None, max_examples=20)
@given(worlds)
def test_every_regime_that_ends_is_followed_by_one(world):
    chain = regimes_of(world)
    leaving = np.bincount(chain.source, weights=chain.chance, minlength=len(chain.names))
    assert np.abs(leaving - 1).max() < 1e-12
    assert np.abs(chain.duration.sum(axis=1) - 1).max() < 1e-12


def test_about_seven_bars_in_a_hundred_are_labelled():
    chain = regimes_of(World())
    regime = sample_regimes(chain, np.array([0, 400_000]), seed=np.random.default_rng(1))
    assert abs(chain.label_share - 0.072) < 0.002
    assert abs(chain.label[regime].mean() - chain.label_share) < 0.003


def test_short_stretches_have_the_same_share_of_every_regime():
    chain = regimes_of(World())
    stretches = np.arange(100_001) * 3
    regime = sample_regimes(chain, stretches, seed=np.random.default_rng(5)).reshape(-1, 3)
    share = chain.initial.sum(axis=1)
    for column in range(3):
        seen = np.bincount(regime[:, column], minlength=len(share)) / 100_000
        assert (np.abs(seen - share) < 4.5 * np.sqrt(share / 100_000)).all()


def test_regimes_follow_each_other_as_the_world_says():
    chain = regimes_of(World())
    regime = sample_regimes(chain, np.array([0, 400_000]), seed=np.random.default_rng(2))
    kind = np.array([name.split()[0] for name in chain.names])[regime[runs(regime)[0]]]
    before, after = kind[:-1], kind[1:]
    assert abs((after[before == "consolidation"] == "expansion").mean() - 0.7) < 0.03
    assert abs((after[before == "consolidation"] == "breakout").mean() - 0.2) < 0.03
    assert set(before[after == "expansion"]) == {"consolidation"}
    assert set(after[before == "breakout"]) == {"reversal"}
    assert set(after[before == "expansion"]) == {"background"}
    assert "consolidation" not in set(before[after == "surge"])


def test_lengths_are_spread_evenly_between_their_bounds():
    chain = regimes_of(World())
    regime = sample_regimes(chain, np.array([0, 600_000]), seed=np.random.default_rng(3))
    start, size = runs(regime)
    count = np.bincount(size[chain.label[regime[start]]][1:-1], minlength=16)
    assert count[:5].sum() == 0
    assert len(count) == 16
    assert np.abs(count[5:] / count.sum() - 1 / 11).max() < 0.015


def test_without_signal_all_regimes_look_alike():
    chain = regimes_of(World(signal=0))
    assert (chain.drift.tolist(), chain.scale.tolist()) == ([0.0], [1.0])
    assert np.array_equal(chain.initial, regimes_of(World()).initial)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expansion_bars": (5, 4)}, "expansion_bars: want"),
        ({"surge_share": 0.6}, "surge_share: want at most 1 together with consolidation_share, got 1.1"),
        ({"breakout_after_consolidation": 0.4}, "breakout_after_consolidation: want"),
        ({"drift_levels": ()}, "drift_levels: want"),
        ({"signal": 2}, "signal"),
        ({"body_dof": 2.0}, "body_dof"),
        ({"sner": 1.0}, "sner"),
    ],
)
def test_an_impossible_world_is_refused_by_name(change, message):
    with pytest.raises(ValidationError, match=message):
        World(**change)
