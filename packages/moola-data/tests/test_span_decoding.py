from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data._score import match_count, span_f1
from moola_data.bar_model import likelihood_ratios, sample_parts
from moola_data.posterior import sample_paths, smooth
from moola_data.semi_markov import regimes_of, sample_regimes
from moola_data.span_decoding import decode_spans
from moola_data.world import World


class Marks(NamedTuple):
    window: np.ndarray
    start: np.ndarray
    end: np.ndarray


def runs(mask):
    """Runs of True in each row, as (window, start, end)."""
    edge = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))))
    window, start = np.nonzero(edge == 1)
    return Marks(window, start, np.nonzero(edge == -1)[1] - 1)


def separated_sets(length):
    """Every set of spans in `length` bars with a bar between any two: the runs of every mask."""
    masks = (np.arange(2**length)[:, None] >> np.arange(length)) & 1
    return [runs(mask[None].astype(bool)) for mask in masks]


def truths_of(draw, length, count):
    """A distribution over `count` random label masks of a stretch of `length` bars."""
    masks = draw.random((count, length)) < draw.uniform(0.2, 0.6)
    weight = draw.dirichlet(np.ones(count))
    return masks, weight


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_no_separated_set_of_spans_expects_a_higher_f1(seed):
    draw = np.random.default_rng(seed)
    length = 7
    masks, weight = truths_of(draw, length, 4)
    spans = np.zeros((length, length))
    for mask, p in zip(masks, weight, strict=True):
        true = runs(mask[None])
        spans[true.start, true.end - true.start] += p
    ours = decode_spans(spans, np.array([0]), np.array([0, length]), length=length)

    def expected(predicted):
        one = Marks(np.zeros(len(predicted.start), np.int64), predicted.start, predicted.end)
        matches = sum(p * match_count(one, runs(mask[None])) for mask, p in zip(masks, weight, strict=True))
        true = sum(p * len(runs(mask[None]).start) for mask, p in zip(masks, weight, strict=True))
        return 2 * matches / (len(one.start) + true) if len(one.start) + true else 0.0

    best = max(expected(s) for s in separated_sets(length))
    if np.isnan(ours.f1):
        assert not spans.any()
    else:
        assert abs(ours.f1 - best) < 1e-9
        assert abs(expected(ours.spans) - best) < 1e-9


def test_expected_matches_agree_with_scored_posterior_draws():
    # Windows in the middle of one stretch: spans are cut on both sides and truth is counted as seen.
    world, length, draws = World(), 60, 800
    chain = regimes_of(world)
    stretches = np.array([0, 400])
    rng = np.random.default_rng(3)
    look = chain.look[sample_regimes(chain, stretches, seed=rng)]
    parts = sample_parts(chain.drift[look], chain.scale[look], stretches, world=world, seed=rng)
    ratios = likelihood_ratios(parts, stretches, drift=chain.drift, scale=chain.scale, world=world)
    starts = np.array([35, 95, 155, 215, 275, 335])
    ours = decode_spans(smooth(ratios, stretches, chain).spans, starts, stretches, length=length)
    paths = chain.label[sample_paths(ratios, chain, draws=draws, seed=5)[0]]
    matches, true = [], []
    for path in paths:
        seen = runs(path[starts[:, None] + np.arange(length)])
        matches.append(match_count(ours.spans, seen))
        true.append(len(seen.start))
    for sample, wanted in ((matches, ours.matches.sum()), (true, ours.true.sum())):
        assert abs(np.mean(sample) - wanted) < 4.5 * np.std(sample) / np.sqrt(draws) + 1e-9
    assert abs(2 * np.mean(matches) / (len(ours.spans.start) + np.mean(true)) - ours.f1) < 0.03


def test_a_certain_span_is_predicted_as_it_is():
    spans = np.zeros((20, 5))
    spans[7, 3] = 1
    best = decode_spans(spans, np.array([0]), np.array([0, 20]), length=20)
    assert best.f1 == 1.0
    assert span_f1(best.spans, Marks(np.array([0]), np.array([7]), np.array([10]))) == 1.0


def test_a_span_from_before_the_window_counts_with_what_is_visible():
    spans = np.zeros((20, 8))
    spans[4, 7] = 1
    best = decode_spans(spans, np.array([10, 0]), np.array([0, 20]), length=8)
    assert span_f1(best.spans, Marks(np.array([0, 1]), np.array([0, 4]), np.array([1, 7]))) == 1.0


def test_spans_that_hardly_ever_match_are_still_weighed_where_nothing_better_is():
    # Each of 12 places has a span with probability .01: every single one of them is worth predicting.
    spans = np.zeros((60, 3))
    spans[np.arange(12) * 5, 2] = 0.01
    best = decode_spans(spans, np.array([0]), np.array([0, 60]), length=60)
    assert abs(best.f1 - 2 * 0.12 / 12.12) < 1e-12


def test_where_no_span_is_possible_f1_is_undefined():
    best = decode_spans(np.zeros((9, 4)), np.array([0]), np.array([0, 9]), length=9)
    assert np.isnan(best.f1)
    assert len(best.spans.start) == 0
