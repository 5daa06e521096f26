"""A score above the best possible one proves a leak: shown on bars whose best possible score is known."""

import numpy as np
import pytest

from moola_data.features import compute_features
from moola_data.intervals import window_intervals
from moola_data.leaky_random_split import LeakWarning, LeakyRandomSplit
from moola_data.purged_kfold import PurgedKFold
from moola_data.span_mask import span_mask
from moola_data.spans import visible_spans
from moola_data.split_audit import audit_splits
from moola_data.synthetic import benchmark
from moola_data.windows import gather, window_starts

LENGTH, STRIDE, AROUND = 105, 21, 5


@pytest.fixture(scope="module")
def world():
    """Overlapping windows of one stream, the bars around each of their bars, and the truth."""
    bench = benchmark(24, seed=5, snr=1.25, per_stretch=24)
    starts = window_starts(bench.bars.segment, length=LENGTH, stride=STRIDE, first=bench.warmup)
    x = gather(compute_features(bench.bars).values, starts, length=LENGTH)
    # A bar is seen with the bars around it that its window holds.
    near = np.clip(np.arange(LENGTH)[:, None] + np.arange(-AROUND, AROUND + 1), 0, LENGTH - 1)
    context = x[:, near].reshape(len(starts), LENGTH, -1)
    seen = visible_spans(bench.spans, starts, length=LENGTH)
    truth = span_mask(seen, windows=len(starts), length=LENGTH) > 0.5
    return bench, starts, context, truth


def nearest_neighbour_f1(splits, context, truth):
    """Micro F1 of the bars of all tests, each marked like the training bar that looks most like it."""
    hits = marked = true = 0
    for train, test in splits:
        known, asked = (context[side].reshape(-1, context.shape[-1]) for side in (train, test))
        distance = (known**2).sum(axis=1) - 2 * asked @ known.T
        guess = truth[train].reshape(-1)[distance.argmin(axis=1)]
        answer = truth[test].reshape(-1)
        hits += (guess & answer).sum()
        marked, true = marked + guess.sum(), true + answer.sum()
    return 2 * hits / (marked + true)


def test_a_random_split_of_overlapping_windows_scores_above_the_ceiling_and_a_purged_one_below(world):
    bench, starts, context, truth = world
    first, last = window_intervals(bench.bars, bench.spans, starts, length=LENGTH)
    times = {"prediction_times": first, "evaluation_times": last}
    with pytest.warns(LeakWarning, match=r"\d+ of \d+ test samples share time"):
        random = [fold for s in range(3) for fold in LeakyRandomSplit(**times, seed=s).split(starts)]
    purged = list(PurgedKFold(5, **times).split(starts))
    assert nearest_neighbour_f1(random, context, truth) > bench.ceiling.bar.f1 + 0.08
    assert nearest_neighbour_f1(purged, context, truth) < bench.ceiling.bar.f1 - 0.1
    assert audit_splits(random, **times)["shared"].min() > 1000
    assert audit_splits(purged, **times)["shared"].max() == 0
