"""The first project's metrics against loops written from their definitions."""

import numpy as np
import pytest

from moola_eval.origin import origin_scores
from moola_eval.schema import TrueSpans, Truth
from moola_eval.targets import Targets

N, K = 25, 30


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    start = rng.integers(0, 22, N)
    end = start + rng.integers(0, 8, N)
    kind = rng.integers(0, 2, N)
    truth = Truth(
        starts=np.arange(N) * K,
        length=K,
        group=np.arange(N),
        spans=TrueSpans(window=np.arange(N), start=start, end=end, type=kind),
        type_names=("a", "b"),
    )
    outputs = {
        "probability": np.where(rng.random((N, K)) < 0.1, 0.5, rng.random((N, K))),
        "pointers": np.stack(
            [(start + end) / 2 + rng.normal(0, 3, N), end - start + 1 + rng.normal(0, 2, N)], 1
        ),
        "countdown": rng.normal(0, 15, (N, K)),
        "type_probability": rng.dirichlet([1, 1, 0.3], N),
    }
    outputs["type_probability"][0] = [1.0, 0.0, 0.0]
    scores = {s.name: s for s in origin_scores(Targets.of(truth), **outputs)}
    return start, end, kind, outputs, scores


def test_span_f1_is_the_mean_of_windows_at_a_strict_half(world):
    start, end, _, outputs, scores = world
    f1, iou = [], []
    for i in range(N):
        truth = {t for t in range(K) if start[i] <= t <= end[i]}
        marked = {t for t in range(K) if outputs["probability"][i, t] > 0.5}
        p, r = len(truth & marked) / (len(marked) + 1e-10), len(truth & marked) / (len(truth) + 1e-10)
        f1.append(2 * p * r / (p + r + 1e-10))
        iou.append(len(truth & marked) / (len(truth | marked) + 1e-7))
    assert scores["origin_span_f1"].value == pytest.approx(np.mean(f1), abs=1e-12)
    assert scores["origin_iou"].value == pytest.approx(np.mean(iou), abs=1e-12)


def test_hits_and_joint_success(world):
    start, end, kind, outputs, scores = world
    both = centre = joint = 0
    for i in range(N):
        c, size = outputs["pointers"][i]
        both += abs(c - (size - 1) / 2 - start[i]) <= 3 and abs(c + (size - 1) / 2 - end[i]) <= 3
        near = abs(c - (start[i] + end[i]) / 2) <= 3
        centre += near
        joint += near and outputs["type_probability"][i].argmax() == kind[i]
    assert 0 < joint < N
    assert scores["origin_hit_at_3"].value == both / N
    assert scores["origin_hit_at_3_centre"].value == centre / N
    assert scores["origin_joint"].value == joint / N


def test_macro_f1_takes_types_zero_and_one_and_a_third_guess_is_an_error(world):
    _, _, kind, outputs, scores = world
    guess = outputs["type_probability"].argmax(axis=1)
    assert (guess == 2).any()
    f1 = [2 * np.sum((guess == c) & (kind == c)) / (np.sum(guess == c) + np.sum(kind == c)) for c in (0, 1)]
    assert scores["origin_macro_f1"].value == pytest.approx(np.mean(f1))


def test_ece_has_ten_bins_open_below_so_that_zero_falls_out(world):
    _, _, kind, outputs, scores = world
    p = outputs["type_probability"][:, 1]
    total = 0.0
    for b in range(10):
        inside = (p > b / 10) & (p <= (b + 1) / 10)
        total += abs(np.sum(kind[inside]) - np.sum(p[inside]))
    assert scores["origin_ece"].value == pytest.approx(total / np.sum(p > 0))


def test_countdown_cuts_the_target_only(world):
    start, _, _, outputs, scores = world
    miss = [
        abs(outputs["countdown"][i, t] - np.clip(start[i] - t, -20, 20)) for i in range(N) for t in range(K)
    ]
    assert scores["origin_countdown_mae"].value == pytest.approx(np.mean(miss))


def test_separation_pools_bars(world):
    start, end, _, outputs, scores = world
    t = np.arange(K)
    inside = (t >= start[:, None]) & (t <= end[:, None])
    p = outputs["probability"]
    assert scores["origin_separation"].value == pytest.approx(p[inside].mean() - p[~inside].mean())
