import numpy as np
import pytest

from moola_eval import Spans, Truth, decode
from moola_eval.importance import correlated_groups, group_importance
from moola_eval.judgement_charts import importance_chart
from moola_eval.schema import TrueSpans

N, K = 40, 20


def labelled(seed: int = 0, n: int = N) -> tuple[Truth, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = np.zeros((n, K), bool)
    for row in mask:
        start = rng.integers(0, K - 6)
        row[start : start + rng.integers(3, 6)] = True
    spans = Spans.from_mask(mask)
    table = TrueSpans(
        window=spans.sequence, start=spans.start, end=spans.end, type=np.full(len(spans), -1, np.int64)
    )
    truth = Truth(starts=np.arange(n) * K, length=K, group=np.arange(n) // 2, spans=table, type_names=())
    return truth, mask


def features(mask: np.ndarray, seed: int = 1) -> np.ndarray:
    """0: tells where the span is; 1: a copy of it; 2: noise; 3: noise."""
    rng = np.random.default_rng(seed)
    told = mask + 0.1 * rng.normal(size=mask.shape)
    noise = rng.normal(size=(*mask.shape, 2))
    return np.concatenate([told[..., None], told[..., None], noise], axis=2).astype(np.float32)


def by_both(x: np.ndarray) -> Spans:
    return decode(np.clip((x[..., 0] + x[..., 1]) / 2, 0, 1), threshold=0.5)


def test_a_used_group_is_worth_something_and_an_ignored_one_nothing():
    truth, mask = labelled()
    groups = {"told": (0, 1), "noise": (2, 3), "every": (0, 1, 2, 3)}
    found = group_importance(by_both, features(mask), truth, groups=groups, seed=0, repeats=7, resamples=200)
    assert found.score > 0.95
    by_name = {one.group: one for one in found.groups}
    assert by_name["told"].interval.low > 0
    assert by_name["told"].drop > by_name["told"].null[1]
    assert by_name["told"].p_adjusted < 0.01
    assert by_name["noise"].drop == 0
    assert by_name["noise"].interval.low == by_name["noise"].interval.high == 0
    assert by_name["noise"].p_value == 1
    assert by_name["every"].drop == pytest.approx(by_name["told"].drop, abs=0.1)
    assert found.groups[-1].group == "noise"
    drawing = importance_chart(found)
    assert all(name in drawing for name in groups)


def test_copies_hide_each_other_unless_they_are_shuffled_together():
    truth, mask = labelled()

    def by_either(x: np.ndarray) -> Spans:
        return decode(np.clip(np.maximum(x[..., 0], x[..., 1]), 0, 1), threshold=0.5)

    groups = {"one": (0,), "both": (0, 1)}
    found = group_importance(by_either, features(mask), truth, groups=groups, seed=0, repeats=3, resamples=50)
    by_name = {one.group: one.drop for one in found.groups}
    assert by_name["both"] > by_name["one"] + 0.1


def test_noise_that_moves_the_marks_stays_within_chance():
    """A model that lets noise push its borders is hurt by it, but no more by another window's noise."""
    beyond = 0
    for seed in range(20):
        truth, mask = labelled(seed)

        def noisy(x: np.ndarray) -> Spans:
            return decode(np.clip(x[..., 0] + 0.35 * x[..., 2], 0, 1), threshold=0.5)

        found = group_importance(
            noisy,
            features(mask, seed),
            truth,
            groups={"noise": (2,)},
            seed=seed,
            repeats=2,
            resamples=50,
            permutations=200,
        )
        one = found.groups[0]
        assert one.null[0] < 0 < one.null[1]
        beyond += one.p_value <= 0.05
    assert beyond <= 4  # 1 of 20 is expected; 5 or more have a probability below 0.003


def test_time_inside_a_window_is_kept_and_no_window_keeps_its_own_features():
    truth, mask = labelled(n=6)
    values = features(mask)
    seen = []

    def remember(x: np.ndarray) -> Spans:
        seen.append(x)
        return by_both(x)

    group_importance(remember, values, truth, groups={"g": (1, 3)}, seed=0, repeats=3, resamples=10)
    assert np.array_equal(seen[0], values)
    for moved in seen[1:]:
        assert np.array_equal(moved[..., [0, 2]], values[..., [0, 2]])
        sources = []
        for window in range(6):
            found = [w for w in range(6) if np.array_equal(moved[window][:, [1, 3]], values[w][:, [1, 3]])]
            assert len(found) == 1
            sources += found
        assert sorted(sources) == list(range(6))
        assert all(source != window for window, source in enumerate(sources))


def test_the_same_seed_gives_the_same_importance():
    truth, mask = labelled(n=10)
    arguments = {"groups": {"a": (0,), "b": (2,)}, "repeats": 2, "resamples": 20}
    first = group_importance(by_both, features(mask), truth, seed=3, **arguments)
    assert first == group_importance(by_both, features(mask), truth, seed=3, **arguments)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"groups": {"a": ()}}, r"groups: want different columns of 0..3 in 'a', got \[\]"),
        ({"groups": {"a": (4,)}}, "groups: .* got"),
        ({"groups": {"a": (1, 1)}}, "groups: .* got"),
        ({"repeats": 0}, "repeats: want 1 or more"),
        ({"values": np.zeros((3, K, 4), np.float32)}, "values: want shape"),
    ],
)
def test_what_cannot_be_shuffled_is_refused(change, wanted):
    truth, mask = labelled(n=6)
    arguments = {"values": features(mask), "groups": {"a": (0,)}, "repeats": 1} | change
    values = arguments.pop("values")
    with pytest.raises(ValueError, match=wanted):
        group_importance(by_both, values, truth, seed=0, **arguments)


def test_groups_are_found_whatever_the_sign_and_scale():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    values = np.column_stack([a, b, -50 * a + 0.1 * rng.normal(size=400), np.full(400, 7.0), b + 3])
    names = ["a", "b", "c", "constant", "d"]
    assert correlated_groups(values, names) == {"a + c": (0, 2), "b + d": (1, 4), "constant": (3,)}
    assert len(correlated_groups(values, names, at_least=1)) in (4, 5)
    assert correlated_groups(values[:, :1], names[:1]) == {"a": (0,)}
    with pytest.raises(ValueError, match="values: want shape"):
        correlated_groups(values, names[:2])
