"""Which windows are worth labelling: what a posterior says of them, what they cost, what they share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moola_models import Jade, compact
from moola_models.registry import resolve_head
from moola_train.recipes.label_ranking import Work, rank_windows
from moola_train.recipes.labelling_value import drawn_marks, labelling_values
from moola_train.recipes.unlabelled import UnlabelledWindows

K, F = 16, 5


def network(kind: str = "span_semi_markov") -> Jade:
    config = compact(F, window=K, heads=(resolve_head(kind),)).model_copy(update={"hidden": 6})
    model = Jade(config, seed=0).eval()
    with torch.no_grad():  # untrained weights are too shy to contradict themselves
        for weight in model.parameters():
            weight.mul_(4)
    return model


def windows(n: int = 12, *, seed: int = 0) -> UnlabelledWindows:
    values = np.random.default_rng(seed).standard_normal((n * K, F)).astype(np.float32)
    return UnlabelledWindows(values, np.arange(n) * K, length=K, position=False)


def count(marks) -> int:
    return int((np.diff(np.pad(marks.astype(int), 1)) == 1).sum())


def matched(one, two) -> int:
    """Pairs of spans whose intersection over union is at least .5, by hand."""

    def spans(marks):
        edges = np.diff(np.pad(marks.astype(int), 1))
        return list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True))

    pairs = 0
    for a, b in spans(one):
        for c, d in spans(two):
            common, union = min(b, d) - max(a, c), max(b, d) - min(a, c)
            pairs += common > 0 and 2 * common >= union
    return pairs


@pytest.mark.parametrize("kind", ["span_semi_markov", "span_crf", "span"])
def test_errors_are_those_of_the_best_of_the_drawn_answers(kind):
    model, data = network(kind), windows()
    said = labelling_values(model, data, samples=9, passes=0, seed=3, batch_size=len(data))
    with torch.no_grad():
        z = model.encode(data.batch(torch.arange(len(data))).inputs)
        drawn = drawn_marks(model, z, 9, generator=torch.Generator().manual_seed(3)).numpy()
    for i, sets in enumerate(drawn):
        true = np.mean([count(s) for s in sets])
        candidates = [*sets, np.zeros(K, bool)]
        wrong = [count(c) + true - 2 * np.mean([matched(c, s) for s in sets]) for c in candidates]
        assert said.errors[i] == pytest.approx(min(wrong), abs=1e-9)
        assert said.spans[i] == pytest.approx(true)
        answer = said.marks[i]
        expected = count(answer) + true - 2 * np.mean([matched(answer, s) for s in sets])
        assert expected == pytest.approx(said.errors[i], abs=1e-9)
        np.testing.assert_allclose(said.probability[i], sets.mean(0), atol=1e-6)


def test_sets_of_a_head_of_bars_hold_every_bar_in_the_right_share():
    model, data = network("span"), windows()
    with torch.no_grad():
        x = data.batch(torch.arange(len(data))).inputs
        drawn = drawn_marks(model, model.encode(x), 500, generator=torch.Generator()).double().mean(1)
        torch.testing.assert_close(drawn, model(x).span.sigmoid().double(), atol=1 / 500, rtol=0)


def test_information_is_nothing_where_passes_agree_and_the_value_counts_it():
    model, data = network(), windows()
    alone = labelling_values(model, data, samples=8, passes=0)
    one = labelling_values(model, data, samples=8, passes=1)
    several = labelling_values(model, data, samples=8, passes=6)
    assert np.isnan(alone.information).all()
    np.testing.assert_allclose(one.information, 0, atol=1e-9)
    assert (several.information > 0).all()
    np.testing.assert_array_equal(several.errors, alone.errors)
    wanted = alone.errors / alone.errors.mean() + several.information / several.information.mean()
    np.testing.assert_allclose(several.value, wanted)
    assert several.value.mean() == pytest.approx(2) == alone.value.mean()


def test_values_are_drawn_anew_from_the_seed_alone():
    model, data = network(), windows()
    model.train()
    torch.manual_seed(1)
    one = labelling_values(model, data, samples=8, passes=2, seed=5)
    torch.manual_seed(2)
    two = labelling_values(model, data, samples=8, passes=2, seed=5)
    other = labelling_values(model, data, samples=8, passes=2, seed=6)
    np.testing.assert_array_equal(one.value, two.value)
    assert (one.value != other.value).any()
    assert model.training


@pytest.mark.parametrize(
    ("changes", "wanted"), [({"samples": 0}, "samples: want 1"), ({"passes": -1}, "passes: want 0")]
)
def test_numbers_out_of_range_are_refused(changes, wanted):
    with pytest.raises(ValueError, match=wanted):
        labelling_values(network(), windows(), **changes)


def apart(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64) * K


def test_of_windows_that_have_nothing_in_common_the_best_an_hour_come_first():
    rng = np.random.default_rng(0)
    value, hours = rng.random(30), rng.random(30) + 0.1
    encoding = (np.eye(30) * 100).astype(np.float32)
    ranked = rank_windows(value, hours, encoding, count=10, starts=apart(30), length=K)
    np.testing.assert_array_equal(ranked.window, np.argsort(-value / hours)[:10])
    assert (ranked.left > 0.9).all()


def test_a_copy_of_a_chosen_window_is_chosen_last():
    rng = np.random.default_rng(1)
    encoding = rng.standard_normal((20, 8)).astype(np.float32)
    encoding[1] = encoding[0]
    value = rng.random(20)
    value[:2] = 5.0, 4.9
    ranked = rank_windows(value, np.ones(20), encoding, count=20, starts=apart(20), length=K)
    assert ranked.window[0] == 0
    assert ranked.window[-1] == 1
    assert ranked.left[-1] == pytest.approx(0, abs=1e-6)
    assert sorted(ranked.window.tolist()) == list(range(20))


def test_what_is_left_is_the_variance_of_a_gaussian_process_that_knows_the_chosen():
    rng = np.random.default_rng(2)
    encoding = rng.standard_normal((15, 3)).astype(np.float32)
    ranked = rank_windows(rng.random(15) + 1, np.ones(15), encoding, count=8, starts=apart(15), length=K)
    points = encoding.astype(np.float64)
    squares = ((points[:, None] - points) ** 2).sum(2)
    width = np.sqrt(np.quantile(squares[np.triu_indices(15, 1)] ** 0.5, 0.01) ** 2) / 2
    k = np.exp(-squares / (2 * width**2))
    for m in range(1, 8):
        known, w = ranked.window[:m], ranked.window[m]
        left = 1 - k[w, known] @ np.linalg.solve(k[np.ix_(known, known)], k[known, w])
        assert ranked.left[m] == pytest.approx(left, abs=1e-5)


def test_no_two_chosen_windows_share_a_bar():
    rng = np.random.default_rng(3)
    starts = rng.permutation(np.arange(0, 400, 3))
    n = len(starts)
    encoding = rng.standard_normal((n, 4)).astype(np.float32)
    ranked = rank_windows(rng.random(n), np.ones(n), encoding, count=n, starts=starts, length=K)
    taken = np.sort(starts[ranked.window])
    assert (np.diff(taken) >= K).all()
    assert len(taken) < n  # the rest overlaps
    free = np.abs(starts[:, None] - taken).min(1) >= K
    assert not free.any()


def test_windows_alike_in_everything_are_ranked_all_the_same():
    ranked = rank_windows(
        np.zeros(4), np.ones(4), np.zeros((4, 3), np.float32), count=9, starts=apart(4), length=K
    )
    assert ranked.window.tolist() == [0, 1, 2, 3]
    assert ranked.score.tolist() == [0, 0, 0, 0]


def test_more_spans_cost_more():
    assert Work(36, 18).hours(np.array([0.0, 1.0, 4.0])).tolist() == [0.01, 0.015, 0.03]
    for wrong in (Work(0, 1), Work(1, -1), Work(float("nan"), 1)):
        with pytest.raises(ValueError, match="_seconds: want a number"):
            wrong.hours(np.zeros(1))


@pytest.mark.parametrize(
    ("name", "value"), [("value", [1.0, np.nan]), ("hours", [1.0, 0.0]), ("starts", [0])]
)
def test_bad_numbers_are_refused(name, value):
    given = {
        "value": np.ones(2),
        "hours": np.ones(2),
        "encoding": np.ones((2, 3), np.float32),
        "starts": apart(2),
    }
    with pytest.raises(ValueError, match="want"):
        rank_windows(**{**given, name: np.array(value)}, count=1, length=K)
