"""The posterior against two slow truths: dense matrices, and every path of a tiny world."""

import numpy as np
import pytest

from moola_data.bar_model import likelihood_ratios, sample_parts
from moola_data.posterior import covered, posterior, sample_paths, smooth
from moola_data.semi_markov import regimes_of, sample_regimes
from moola_data.synthetic import benchmark
from moola_data.world import World

TINY = World(
    drift_levels=(1.0,),
    expansion_bars=(1, 3),
    consolidation_bars=(1, 2),
    burst_bars=(1, 1),
    breakout_bars=(1, 1),
    reversal_bars=(1, 2),
    background_bars=2.0,
)


def drawn(world, sizes, seed):
    """Ratios, stretches and chain of drawn stretches of the given sizes."""
    chain = regimes_of(world)
    stretches = np.concatenate([[0], np.cumsum(sizes)])
    rng = np.random.default_rng(seed)
    look = chain.look[sample_regimes(chain, stretches, seed=rng)]
    parts = sample_parts(chain.drift[look], chain.scale[look], stretches, world=world, seed=rng)
    ratios = likelihood_ratios(parts, stretches, drift=chain.drift, scale=chain.scale, world=world)
    return ratios, stretches, chain


def transition(chain):
    """The whole matrix over all (regime, bars to go), in the order of their flat index."""
    regimes, longest = chain.duration.shape
    matrix = np.zeros((regimes, longest, regimes, longest))
    for r in range(regimes):
        for k in range(1, longest):
            matrix[r, k, r, k - 1] = 1
    for a, b, p in zip(chain.source, chain.target, chain.chance, strict=True):
        matrix[a, 0, b] += p * chain.duration[b]
    return matrix.reshape(regimes * longest, -1)


def of_state(chain, values):
    """A value of each regime, for each of its states."""
    return np.repeat(values, chain.duration.shape[1])


def dense(ratios, chain):
    """Textbook forward-backward with matrices: smoothed and filtered P(label), log evidence."""
    matrix, look = transition(chain), of_state(chain, chain.look)
    forward, evidence = [chain.initial.ravel() * ratios[0, look]], 0.0
    for t in range(len(ratios)):
        if t:
            forward.append((forward[-1] @ matrix) * ratios[t, look])
        evidence += np.log(forward[-1].sum())
        forward[-1] = forward[-1] / forward[-1].sum()
    backward = [np.ones(len(matrix))]
    for t in range(len(ratios) - 1, 0, -1):
        step = matrix @ (ratios[t, look] * backward[-1])
        backward.append(step / step.sum())
    smoothed = np.array(forward) * np.array(backward[::-1])
    smoothed /= smoothed.sum(axis=1, keepdims=True)
    label = of_state(chain, chain.label)
    return smoothed[:, label].sum(axis=1), np.array(forward)[:, label].sum(axis=1), evidence


def every_path(ratios, chain):
    """All paths of (flat) states of positive probability, with their posterior probabilities."""
    matrix, look = transition(chain), of_state(chain, chain.look)
    paths = [((s,), p * ratios[0, look[s]]) for s, p in enumerate(chain.initial.ravel()) if p > 0]
    for t in range(1, len(ratios)):
        paths = [
            ((*path, s), p * matrix[path[-1], s] * ratios[t, look[s]])
            for path, p in paths
            for s in np.flatnonzero(matrix[path[-1]])
        ]
    total = sum(p for _, p in paths)
    return np.array([path for path, _ in paths]), np.array([p / total for _, p in paths])


def test_equals_dense_matrices_to_1e_12():
    for snr, size in ((0.5, 105), (1.25, 210), (2.0, 400), (1.25, 1)):
        ratios, stretches, chain = drawn(World(snr=snr), [size], seed=size)
        ours = smooth(ratios, stretches, chain)
        smoothed, filtered, evidence = dense(ratios, chain)
        assert np.abs(ours.label - smoothed).max() < 1e-12
        assert np.abs(ours.causal - filtered).max() < 1e-12
        assert abs(ours.log_evidence - evidence) < 1e-9


def test_span_posterior_equals_a_sum_over_every_path():
    ratios, stretches, chain = drawn(TINY, [7], seed=3)
    ours = smooth(ratios, stretches, chain)
    paths, weight = every_path(ratios, chain)
    inside = of_state(chain, chain.label)[paths]
    wanted = np.zeros_like(ours.spans)
    for path, p in zip(inside, weight, strict=True):
        edge = np.diff(np.concatenate([[0], path.astype(int), [0]]))
        for start, stop in zip(np.flatnonzero(edge == 1), np.flatnonzero(edge == -1), strict=True):
            wanted[start, stop - start - 1] += p
    assert len(paths) > 1000
    assert np.abs(ours.spans - wanted).max() < 1e-12
    assert np.abs(ours.label - weight @ inside).max() < 1e-12


def test_spans_add_up_to_the_bars_they_cover():
    ratios, stretches, chain = drawn(World(), [150, 1, 2, 300], seed=5)
    ours = smooth(ratios, stretches, chain)
    assert np.abs(covered(ours.spans) - ours.label).max() < 1e-12


def test_stretches_do_not_know_of_each_other():
    ratios, stretches, chain = drawn(World(), [60, 90], seed=8)
    both = smooth(ratios, stretches, chain)
    for a, b in ((0, 60), (60, 150)):
        alone = smooth(ratios[a:b], np.array([0, b - a]), chain)
        assert np.array_equal(both.label[a:b], alone.label)


def test_the_filter_never_reads_ahead():
    bench = benchmark(1, seed=4, length=300, warmup=0)
    bars = bench.bars
    for end in np.random.default_rng(0).integers(1, 300, 25):
        fields = {
            k: getattr(bars, k)[:end] for k in ("time", "open", "high", "low", "close", "symbol", "segment")
        }
        assert np.array_equal(
            posterior(bars.model_copy(update=fields), world=bench.world).causal, bench.causal[:end]
        )


def test_smoothing_ends_where_the_filter_stands():
    bench = benchmark(20, seed=4)
    last = np.flatnonzero(np.diff(bench.bars.segment, append=-1))
    assert np.abs(bench.posterior[last] - bench.causal[last]).max() < 1e-12


def test_sampled_paths_have_the_posterior_as_marginals():
    ratios, stretches, chain = drawn(World(), [260], seed=2)
    exact = smooth(ratios, stretches, chain)
    draws = 4000
    regime, _ = sample_paths(ratios, chain, draws=draws, seed=9)
    inside = chain.label[regime]
    error = np.abs(inside.mean(axis=0) - exact.label)
    assert (error / np.sqrt(exact.label * (1 - exact.label) / draws + 1e-6)).max() < 4.5
    starts = inside & ~np.pad(inside, ((0, 0), (1, 0)))[:, :-1]
    assert np.abs(starts.mean(axis=0) - exact.spans.sum(axis=1)).max() < 5 * np.sqrt(0.25 / draws)


def test_sampled_paths_are_paths_of_the_chain():
    ratios, _, chain = drawn(World(), [150], seed=2)
    matrix = transition(chain)
    regime, left = sample_paths(ratios, chain, draws=50, seed=1)
    paths = regime * chain.duration.shape[1] + left
    assert (matrix[paths[:, :-1], paths[:, 1:]] > 0).all()


def test_sampled_paths_appear_as_often_as_they_are_probable():
    ratios, _, chain = drawn(TINY, [4], seed=1)
    paths, weight = every_path(ratios, chain)
    draws = 20_000
    regime, left = sample_paths(ratios, chain, draws=draws, seed=0)
    states = regime * chain.duration.shape[1] + left
    sampled, count = np.unique(states, axis=0, return_counts=True)
    seen = {tuple(path): c / draws for path, c in zip(sampled.tolist(), count, strict=True)}
    share = np.array([seen.pop(tuple(path), 0.0) for path in paths.tolist()])
    assert not seen
    assert (np.abs(share - weight) <= 5 * np.sqrt(weight / draws) + 1e-12).all()


def test_probabilities_are_calibrated():
    bench = benchmark(1500, seed=6, warmup=0)
    inside = np.zeros(len(bench.bars))
    for start, end in zip(bench.truth.start, bench.truth.end, strict=True):
        inside[start : end + 1] = 1
    for low in np.arange(0, 1, 0.1):
        chosen = (bench.posterior >= low) & (bench.posterior < low + 0.1)
        # Bars of one window are wrong together: windows are the units of the standard error.
        excess = ((inside - bench.posterior) * chosen).reshape(1500, -1).sum(axis=1)
        assert abs(excess.sum()) < 4 * np.sqrt((excess**2).sum())


def test_rounded_prices_are_refused():
    bench = benchmark(1, seed=1, world=World(tick=0.25))
    with pytest.raises(ValueError, match=r"tick 0.*0\.25"):
        posterior(bench.bars, world=bench.world)
