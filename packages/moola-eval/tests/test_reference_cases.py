"""Hand-checked cases whose expected values come from exact fractions and brute force."""

import json
from pathlib import Path

import numpy as np
import pytest

from moola_eval.affiliation import affiliation
from moola_eval.average_precision import average_precision
from moola_eval.bars import bar_f1
from moola_eval.detection import matched_f1
from moola_eval.matching import Collar, Exact, IoU, match
from moola_eval.overlap import overlap_f1
from moola_eval.range_score import range_f1
from moola_eval.segments import segment_f1
from moola_eval.spans import Spans

CASES = json.loads((Path(__file__).parent / "reference_cases.json").read_text())["cases"]
CRITERIA = {
    "exact": Exact(),
    "iou>=1/10": IoU(1 / 10),
    "iou>=3/10": IoU(3 / 10),
    "iou>=1/2": IoU(1 / 2),
    "iou>=3/4": IoU(3 / 4),
    "collar onset<=0 offset<=0": Collar(0, 0),
    "collar onset<=1 offset<=1": Collar(1, 1),
    "collar onset<=2 offset<=2": Collar(2, 2),
    "collar onset<=3 offset<=3": Collar(3, 3),
    "collar onset<=1 only": Collar(1, None),
    "collar onset<=1 offset<=max(1,len/2)": Collar(1, 1, 0.5),
}
PRECISION = 1e-9  # the stored values have nine digits


def sides(case):
    lengths = [case["length"]] * len(case["sequences"])
    rows = [[(s, e, ord(label) - 97) for s, e, label in q["true"]] for q in case["sequences"]]
    guesses = [[(s, e, ord(label) - 97, p) for s, e, label, p in q["pred"]] for q in case["sequences"]]
    return tuple(Spans.from_lists(r, lengths=lengths, closed="left") for r in (rows, guesses))


def masks(case):
    return tuple(s.mask().reshape(-1, case["length"]) for s in sides(case))


def same(found, expected):
    wanted = [np.nan if x is None else x for x in expected]
    assert np.allclose(found, wanted, atol=PRECISION, rtol=0, equal_nan=True), (found, expected)


def rates(score):
    return [score["precision"], score["recall"], score.value]


cases = pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])


@cases
def test_bars(case):
    score = bar_f1(*masks(case))
    same([*score.counts.values(), *rates(score)], case["expected"]["bar_micro"])
    for rule, name in (("skip", "empty_skip"), ("one", "empty_1"), ("zero", "empty_0")):
        found = bar_f1(*masks(case), average="window", empty=rule).value
        same([found], [case["expected"]["bar_macro_f1"][name]])


@cases
@pytest.mark.parametrize("labels", ["strict", "ignored"])
def test_spans_matched_by_every_criterion(case, labels):
    expected = case["expected"][f"label_{labels}"]
    assert set(CRITERIA) <= set(expected)
    for name, criterion in CRITERIA.items():
        pairs = match(*sides(case), criterion=criterion, labels=labels)
        score = matched_f1(pairs)
        row = [*score.counts.values(), *rates(score)]
        if isinstance(criterion, IoU):
            row.append(pairs.iou.mean() if len(pairs) else np.nan)
        same(row, expected[name])
    greedy = match(*sides(case), criterion=IoU(0.3), labels=labels, method="greedy_iou")
    assert len(greedy) == expected["iou>=3/10 greedy_by_iou (tp only)"]
    same(rates(overlap_f1(*sides(case), labels=labels)), expected["any_overlap"])


@cases
def test_cells_of_five_bars(case):
    score = segment_f1(*masks(case), size=5)
    same([*score.counts.values(), *rates(score)], case["expected"]["segment_5"])


@cases
@pytest.mark.parametrize("bias", ["flat", "front", "middle", "back"])
@pytest.mark.parametrize("cardinality", ["one", "reciprocal"])
def test_range_based_rates(case, bias, cardinality):
    true, pred = (s.merged() for s in sides(case))
    score = range_f1(true, pred, bias=bias, cardinality=cardinality)
    same(rates(score), case["expected"][f"range {bias} {cardinality} (mask runs)"])


@cases
@pytest.mark.parametrize(("assign", "name"), [("next_best", "AP"), ("best_only", "AP voc rule")])
def test_average_precision(case, assign, name):
    for key, iou in (("3/10", 0.3), ("1/2", 0.5), ("3/4", 0.75)):
        found = average_precision(*sides(case), iou=iou, assign=assign).value
        same([found], [case["expected"][f"{name} (labels ignored)"][key]])


@cases
def test_affiliation(case):
    if "affiliation" not in case["expected"]:
        assert not case["sequences"][0]["true"]
        return
    true, pred = (s.merged() for s in sides(case))
    score = affiliation(true, pred)
    precision, recall, f1 = case["expected"]["affiliation"]
    # That package calls F undefined where nothing is predicted; with a true span there it is 0.
    wanted = [precision, recall, 0.0 if precision is None else f1]
    found = [np.nan if x is None else x for x in wanted]
    assert np.allclose(rates(score), found, atol=1e-6, equal_nan=True)
