import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moola_data.semi_markov import regimes_of, sample_states
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


def step(mass, chain):
    """The distribution of states one bar later."""
    out = np.zeros_like(mass)
    for r in range(len(chain.names)):
        a, b = chain.first[r], chain.first[r + 1]
        out[a : b - 1] += mass[a + 1 : b]
    for source, target, p in zip(chain.source, chain.target, chain.chance, strict=True):
        block = slice(chain.first[target], chain.first[target + 1])
        out[block] += mass[chain.first[source]] * p * chain.duration[block]
    return out


@settings(deadline=None, max_examples=40)
@given(worlds)
def test_the_first_bar_is_drawn_from_the_stationary_distribution(world):
    chain = regimes_of(world)
    assert chain.initial.min() >= 0
    assert np.abs(step(chain.initial, chain) - chain.initial).max() < 1e-12


@settings(deadline=None, max_examples=20)
@given(worlds)
def test_every_regime_that_ends_is_followed_by_one(world):
    chain = regimes_of(world)
    leaving = np.bincount(chain.source, weights=chain.chance, minlength=len(chain.names))
    assert np.abs(leaving - 1).max() < 1e-12
    for r in range(len(chain.names)):
        assert abs(chain.duration[chain.first[r] : chain.first[r + 1]].sum() - 1) < 1e-12


def test_about_seven_bars_in_a_hundred_are_labelled():
    chain = regimes_of(World())
    state = sample_states(chain, np.array([0, 400_000]), seed=np.random.default_rng(1))
    share = chain.label[chain.state_regime[state]].mean()
    assert abs(chain.label_share - 0.072) < 0.002
    assert abs(share - chain.label_share) < 0.003


def test_regimes_follow_each_other_as_the_world_says():
    chain = regimes_of(World())
    state = sample_states(chain, np.array([0, 400_000]), seed=np.random.default_rng(2))
    regime = chain.state_regime[state]
    kind = np.array([name.split()[0] for name in chain.names])[regime]
    # A regime's last bar is its first state; only there a new one begins.
    last = np.flatnonzero(state[:-1] == chain.first[regime[:-1]])
    after = kind[last + 1][kind[last] == "consolidation"]
    assert abs((after == "expansion").mean() - 0.7) < 0.03
    assert abs((after == "breakout").mean() - 0.2) < 0.03
    assert set(kind[last][kind[last + 1] == "expansion"]) == {"consolidation"}
    assert set(kind[last + 1][kind[last] == "breakout"]) == {"reversal"}
    assert set(kind[last + 1][kind[last] == "expansion"]) == {"background"}


def test_lengths_are_spread_evenly_between_their_bounds():
    chain = regimes_of(World())
    state = sample_states(chain, np.array([0, 600_000]), seed=np.random.default_rng(3))
    inside = np.concatenate([[0], chain.label[chain.state_regime[state]].astype(int), [0]])
    edge = np.diff(inside)
    size = np.flatnonzero(edge == -1) - np.flatnonzero(edge == 1)
    count = np.bincount(size[1:-1], minlength=16)
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
