"""Range, affiliation, cells, hits, borders, anatomy against slow references from the definitions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.affiliation import affiliation
from moola_eval.anatomy import anatomy
from moola_eval.detection import span_f1
from moola_eval.hits import boundary_error, hit_at
from moola_eval.matching import Overlap, match
from moola_eval.range_score import range_f1
from moola_eval.segments import segment_f1
from moola_eval.spans import Spans

K = 24
mask = st.lists(st.booleans(), min_size=K, max_size=K)
pairs = st.lists(st.tuples(mask, mask), min_size=1, max_size=3)
span = st.tuples(st.integers(0, 14), st.integers(0, 6), st.integers(0, 1)).map(
    lambda s: (s[0], s[0] + s[1], s[2])
)
side = st.lists(st.lists(span, max_size=4), min_size=2, max_size=2)


def runs(pairs):
    return (Spans.from_mask(np.array([p[i] for p in pairs], dtype=bool)) for i in (0, 1))


def listed(spans, sequence):
    rows = spans.sequence == sequence
    return list(zip(spans.start[rows].tolist(), spans.end[rows].tolist(), strict=True))


@given(pairs, st.sampled_from(["flat", "front", "middle", "back"]), st.sampled_from(["one", "reciprocal"]))
@settings(deadline=None, max_examples=80)
def test_range_rates_equal_a_bar_by_bar_sum(pairs, bias, cardinality):
    true, pred = runs(pairs)

    def reward(one, others, alpha):
        size = one[1] - one[0] + 1
        weight = {
            "flat": lambda t: 1, "front": lambda t: size - t + 1,
            "back": lambda t: t, "middle": lambda t: min(t, size - t + 1),
        }[bias]  # fmt: skip
        touching = [o for o in others if min(o[1], one[1]) >= max(o[0], one[0])]
        got = sum(
            weight(t - one[0] + 1) for o in touching for t in range(max(o[0], one[0]), min(o[1], one[1]) + 1)
        )
        gamma = Fraction(1, len(touching)) if cardinality == "reciprocal" and touching else 1
        share = gamma * Fraction(got, sum(weight(t) for t in range(1, size + 1)))
        return alpha * bool(touching) + (1 - alpha) * share

    alpha = Fraction(1, 4)
    recall = [reward(g, listed(pred, i), alpha) for i in range(len(pairs)) for g in listed(true, i)]
    precision = [reward(p, listed(true, i), 0) for i in range(len(pairs)) for p in listed(pred, i)]
    score = range_f1(true, pred, alpha=0.25, bias=bias, cardinality=cardinality)
    for found, values in ((score["recall"], recall), (score["precision"], precision)):
        assert np.isclose(found, float(sum(values) / len(values)) if values else np.nan, equal_nan=True)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_range_f_stays_below_one_for_every_beta(beta):
    true = Spans.from_lists([[(20, 30), (60, 70)]], lengths=[105], closed="left")
    pred = Spans.from_lists([[(25, 35), (60, 62), (80, 85)]], lengths=[105], closed="left")
    p, r = 0.5, 0.35
    score = range_f1(true, pred, cardinality="one", beta=beta)
    assert (score["precision"], score["recall"]) == pytest.approx((p, r))
    assert score.value == pytest.approx((1 + beta**2) * p * r / (beta**2 * p + r))
    assert range_f1(true, true, beta=beta).value == 1.0


def test_range_wants_disjoint_spans_and_merged_makes_them():
    spans = Spans.from_lists([[(0, 5), (5, 9)]], lengths=[20])
    with pytest.raises(ValueError, match="true: want spans that do not overlap"):
        range_f1(spans, spans)
    assert range_f1(spans.merged(), spans.merged()).value == 1.0


@given(pairs.filter(lambda rows: any(any(t) for t, _ in rows)))
@settings(deadline=None, max_examples=40)
def test_affiliation_equals_a_fine_grid(pairs):
    true, pred = runs(pairs)
    fine = 32
    precision, recall = [], []
    for i in range(len(pairs)):
        truths = listed(true, i)
        x = (np.arange(K * fine) + 0.5) / fine
        gap = np.array([np.maximum(np.maximum(s - x, x - (e + 1)), 0) for s, e in truths])
        centre_gap = np.array([np.abs(x - (s + e + 1) / 2) - (e + 1 - s) / 2 for s, e in truths])
        marked = np.repeat(pairs[i][1], fine)
        for j in range(len(truths)):
            zone = centre_gap.argmin(axis=0) == j
            guess = x[zone & marked]
            if len(guess):
                away = gap[j][zone]
                precision.append(np.mean([np.mean(away >= d - 1e-12) for d in gap[j][zone & marked]]))
            inside = x[gap[j] == 0]
            near = [np.abs(y - guess).min() if len(guess) else np.inf for y in inside]
            recall.append(
                np.mean(
                    [np.mean(np.abs(x[zone] - y) >= d - 1e-12) for y, d in zip(inside, near, strict=True)]
                )
            )
    score = affiliation(true, pred)
    assert score["recall"] == pytest.approx(np.mean(recall), abs=0.03)
    assert np.isclose(
        score["precision"], np.mean(precision) if precision else np.nan, atol=0.03, equal_nan=True
    )


@pytest.mark.parametrize(("length", "f1"), [(80, 0.555556), (105, 0.663265), (1000, 0.964974)])
def test_affiliation_of_one_miss_grows_with_the_window(length, f1):
    true = Spans.from_lists([[(40, 49)]], lengths=[length])
    pred = Spans.from_lists([[(60, 69)]], lengths=[length])
    assert affiliation(true, pred).value == pytest.approx(f1, abs=1e-6)


@given(mask.filter(any))
@settings(deadline=None, max_examples=40)
def test_part_random_is_the_affiliation_of_marking_every_bar(row):
    true = Spans.from_mask(np.array([row], dtype=bool))
    everything = affiliation(true, Spans.from_mask(np.ones((1, K), dtype=bool)))
    assert everything.value == pytest.approx(everything["random"])
    assert affiliation(true, true).value == 1.0


def test_affiliation_counts_predictions_where_nothing_is_true():
    true = Spans.from_lists([[], [(3, 5)]], lengths=[K, K])
    pred = Spans.from_lists([[(0, 1)], [(3, 5)]], lengths=[K, K])
    score = affiliation(true, pred)
    assert (score.value, score.counts["n_pred_not_judged"]) == (1.0, 1.0)


@given(pairs, st.integers(1, 30))
@settings(deadline=None, max_examples=40)
def test_cells_equal_a_loop(pairs, size):
    true, pred = (np.array([p[i] for p in pairs], dtype=bool) for i in (0, 1))
    cells = [
        (t[a : a + size].any(), p[a : a + size].any())
        for t, p in zip(true, pred, strict=True)
        for a in range(0, K, size)
    ]
    score = segment_f1(true, pred, size=size)
    assert score.counts == {
        "tp": sum(a and b for a, b in cells),
        "n_pred": sum(b for _, b in cells),
        "n_true": sum(a for a, _ in cells),
    }


def test_hits_say_their_denominator():
    true = Spans.from_lists([[(10, 19), (40, 49)]], lengths=[105])
    pred = Spans.from_lists([[(12, 20)]], lengths=[105])
    found = match(true, pred, criterion=Overlap())
    values = {
        s: [hit_at(found, k=k, side=s).value for k in (0, 1, 2)]
        for s in ("onset", "offset", "both", "centre")
    }
    assert values == {
        "onset": [0, 0, 0.5],
        "offset": [0, 0.5, 0.5],
        "both": [0, 0, 0.5],
        "centre": [0, 0, 0.5],
    }
    assert hit_at(found, k=2, denominator="matched").value == 1.0
    assert "matched true spans" in hit_at(found, k=2, denominator="matched").definition


def test_border_errors_have_a_sign_and_a_count():
    true = Spans.from_lists([[(10, 19), (40, 49)]], lengths=[105])
    pred = Spans.from_lists([[(12, 20), (39, 49)]], lengths=[105])
    found = match(true, pred)
    onset, length = boundary_error(found, of="onset"), boundary_error(found, of="length")
    assert (onset.value, onset["bias"], onset["rms"]) == (1.5, 0.5, pytest.approx(np.sqrt(2.5)))
    assert (length.value, length["bias"], length.counts["n_pairs"]) == (1.0, 0.0, 2.0)
    assert boundary_error(found, of="centre").value == pytest.approx((1.5 + 0.5) / 2)


@given(side, side)
@settings(deadline=None, max_examples=150)
def test_every_span_has_one_class_and_matches_agree_on_both_sides(a, b):
    true, pred = (Spans.from_lists(rows, lengths=[25, 25]) for rows in (a, b))
    found = anatomy(true, pred)
    assert sum(found.true_counts.values()) == len(true)
    assert sum(found.pred_counts.values()) == len(pred)
    assert found.true_counts["correct"] == found.pred_counts["correct"] == span_f1(true, pred).counts["tp"]
    assert found.true_counts["wrong_type"] == found.pred_counts["wrong_type"]
    touched = {i for i, g in enumerate(zip(true.sequence, true.start, true.end, strict=True)) for p in
               zip(pred.sequence, pred.start, pred.end, strict=True)
               if g[0] == p[0] and max(g[1], p[1]) <= min(g[2], p[2])}  # fmt: skip
    assert found.true_counts["missed"] == len(true) - len(touched)


@pytest.mark.parametrize(
    ("true", "pred", "true_class", "pred_class"),
    [
        ([(40, 49, 0)], [(40, 49, 0)], ["correct"], ["correct"]),
        ([(40, 49, 0)], [(40, 49, 1)], ["wrong_type"], ["wrong_type"]),
        ([(40, 49, 0)], [(46, 55, 0)], ["shifted"], ["shifted"]),
        ([(40, 49, 0)], [(40, 43, 0), (46, 49, 0)], ["split"], ["split", "split"]),
        ([(40, 49, 0)], [(40, 48, 0), (49, 52, 0)], ["correct"], ["correct", "split"]),
        ([(20, 29, 0), (35, 44, 0)], [(20, 44, 0)], ["merged", "merged"], ["merged"]),
        ([(20, 29, 0)], [(60, 64, 0)], ["missed"], ["spurious"]),
    ],
)
def test_classes_of_plain_mistakes(true, pred, true_class, pred_class):
    from moola_eval.anatomy import PRED_CLASSES, TRUE_CLASSES

    found = anatomy(*(Spans.from_lists([rows], lengths=[105]) for rows in (true, pred)))
    assert [TRUE_CLASSES[i] for i in found.true] == true_class
    assert [PRED_CLASSES[i] for i in found.pred] == pred_class
