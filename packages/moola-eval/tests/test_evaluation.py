import json
from types import SimpleNamespace

import numpy as np
import pytest

from moola_eval import Baseline, EvalInput, Report, Threshold, choose_threshold, decode, evaluate
from moola_eval.evaluation import skill
from moola_eval.schema import TrueSpans, Truth
from moola_eval.spans import Spans

K = 40


def make_truth(seed, n, *, first=0, blocks=None):
    rng = np.random.default_rng(seed)
    mask = np.zeros((n, K), dtype=bool)
    for i, row in enumerate(mask):
        for _ in range(0 if i % 7 == 3 else 1 + i % 2):
            start = rng.integers(0, K - 6)
            row[start : start + rng.integers(3, 7)] = True
    spans = Spans.from_mask(mask)
    truth = Truth(
        starts=first + np.arange(n) * K,
        length=K,
        group=first + np.arange(n) * (blocks or n) // n,
        spans=TrueSpans(
            window=spans.sequence, start=spans.start, end=spans.end, type=rng.integers(0, 2, len(spans))
        ),
        type_names=("consolidation", "retracement"),
    )
    return truth, mask


def predict(truth, probability, threshold, **extra):
    spans = decode(probability, threshold=threshold)
    table = SimpleNamespace(
        window=spans.sequence,
        start=spans.start,
        end=spans.end,
        score=spans.score.astype(np.float32),
        type=np.full(len(spans), -1),
    )
    fields = {"pointers": None, "countdown": None, "type_probability": None} | extra
    model = SimpleNamespace(
        probability=probability.astype(np.float32),
        spans=table,
        starts=truth.starts,
        group=truth.group,
        **fields,
    )
    return EvalInput(prediction=model, truth=truth)


def everything(seed, truth, mask, *, strength):
    """Outputs of a model that knows the truth by `strength`, from 0 (noise) to 1."""
    rng = np.random.default_rng(seed)
    n = len(mask)
    p = (strength * mask + (1 - strength) * rng.random(mask.shape)).astype(np.float32)
    kinds = rng.random((n, 1)).astype(np.float32)
    return p, {
        "pointers": (rng.random((n, 2)) * [K, 10]).astype(np.float32),
        "countdown": rng.normal(0, 15, (n, K)).astype(np.float32),
        "type_probability": np.hstack([kinds, 1 - kinds]),
    }


@pytest.fixture(scope="module")
def report():
    truth, mask = make_truth(0, 60)
    train, _ = make_truth(1, 80, first=10**6)
    inner, inner_mask = make_truth(2, 40, first=2 * 10**6)
    p, extra = everything(3, truth, mask, strength=0.6)
    p_inner, _ = everything(4, inner, inner_mask, strength=0.6)
    chosen = choose_threshold(p_inner, inner)
    rule = Baseline.fit(
        p * 0 + np.random.default_rng(5).normal(size=p.shape).astype(np.float32),
        inner_values=np.random.default_rng(6).normal(size=p_inner.shape),
        inner_truth=inner,
        meaning="noise",
    )
    return evaluate(
        predict(truth, p, chosen.threshold, **extra),
        seed=0,
        train_truth=train,
        baselines={"rule": rule},
        ceiling={"span_f1": 0.95},
        threshold=chosen,
        resamples=400,
    )


def test_a_good_model_stands_above_every_chance_level(report):
    metric = report.metric("span_f1")
    assert metric.value > 0.9 > max(metric.nulls.values())
    assert metric.skill_interval.low > 0
    assert set(metric.nulls) == {
        "none", "predict_all", "shuffled", "base_rate", "position_prior", "length_matched", "rule",
    }  # fmt: skip


def test_random_outputs_beside_a_good_span_have_no_skill(report):
    for name in ("type_accuracy", "pointer_centre_mae", "countdown_mae", "joint_success"):
        assert report.metric(name).skill_interval.low <= 0


def test_skill_is_the_share_of_the_way_from_chance_to_the_ceiling(report):
    for metric in report.metrics:
        if np.isnan(metric.skill):
            continue
        null = metric.nulls[metric.strongest_null]
        assert metric.skill == pytest.approx((metric.value - null) / (metric.ceiling - null))
    assert (report.metric("span_f1").ceiling, report.metric("span_f1").ceiling_known) == (0.95, True)
    assert report.metric("countdown_mae").ceiling == 0.0


@pytest.mark.parametrize("below", [0.0, 0.05])
def test_where_chance_reaches_the_ceiling_there_is_no_skill_to_tell(below):
    truth, _ = make_truth(0, 60)
    given = predict(truth, np.zeros((60, K)), 0.5)
    chance = evaluate(given, seed=0, resamples=0).metric("bar_f1")
    ceiling = chance.nulls[chance.strongest_null] - below
    found = evaluate(given, seed=0, resamples=50, ceiling={"bar_f1": ceiling}).metric("bar_f1")
    assert chance.skill < 0
    assert np.isnan(found.skill)
    assert found.skill_interval is None  # else some resamples would give a verdict on it


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_worse_than_chance_is_never_praised(higher_is_better):
    sign = 1 if higher_is_better else -1
    value, null, ceiling = (sign * np.float64(x) for x in (0.0, 0.14, 0.13))
    assert np.isnan(skill(value, null, ceiling, higher_is_better=higher_is_better))
    assert skill(value, sign * np.float64(0.1), ceiling, higher_is_better=higher_is_better) < 0


def test_the_strongest_null_of_an_error_is_the_smallest(report):
    metric = report.metric("pointer_centre_mae")
    assert metric.nulls[metric.strongest_null] == min(metric.nulls.values())


def test_json_round_trip_keeps_every_number_and_writes_undefined_as_null(report):
    text = report.model_dump_json()
    assert "NaN" not in text
    assert json.loads(text)["schema_version"] == 1
    assert Report.model_validate_json(text).model_dump_json() == text


def test_the_same_seed_gives_the_same_report(report):
    text = report.to_markdown()
    assert text == Report.model_validate_json(report.model_dump_json()).to_markdown()


def test_markdown_shows_chance_beside_the_model_and_every_definition(report):
    text = report.to_markdown()
    for metric in report.metrics:
        assert f"- **{metric.name}**: {metric.definition}" in text
    assert "| span F1 above 0 | `span_f1` | > 0 |" in text
    assert "noise" in text


def test_criteria_say_whether_chance_would_meet_them_too(report):
    for criterion in report.criteria:
        metric = report.metric(criterion.metric)
        assert criterion.value == metric.value
        assert criterion.null == metric.nulls[metric.strongest_null]
    assert report.criteria[0].passed
    assert report.criteria[0].null_passes


def test_a_model_without_an_output_is_not_judged_on_it():
    truth, mask = make_truth(0, 40)
    found = evaluate(predict(truth, mask.astype(np.float32), 0.5), seed=0, resamples=50)
    assert {c.metric for c in found.criteria if c.passed is None} == {
        "origin_hit_at_3", "origin_macro_f1", "origin_ece", "origin_joint", "origin_countdown_mae",
    }  # fmt: skip
    assert found.metric("span_f1").value == found.metric("bar_f1").value == 1.0


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.9])
def test_noise_of_any_rate_has_no_skill_within_the_interval(rate):
    truth, mask = make_truth(0, 120)
    train, _ = make_truth(1, 150, first=10**6)
    rng = np.random.default_rng(int(100 * rate))
    p, extra = everything(7, truth, mask, strength=0.0)
    p = rng.beta(2 * rate, 2 * (1 - rate), p.shape).astype(np.float32)
    found = evaluate(predict(truth, p, 0.5, **extra), seed=1, train_truth=train, resamples=500)
    for metric in found.metrics:
        if metric.skill_interval is not None:
            assert metric.skill_interval.low <= 0, metric.name


def test_scoring_the_windows_of_the_threshold_says_in_sample():
    truth, mask = make_truth(0, 40)
    p, _ = everything(1, truth, mask, strength=0.5)
    chosen = choose_threshold(p, truth)
    found = evaluate(predict(truth, p, chosen.threshold), seed=0, threshold=chosen, resamples=50)
    assert found.in_sample
    assert "IN-SAMPLE" in found.to_markdown()
    assert Threshold.model_validate_json(chosen.model_dump_json()) == chosen


def test_chance_levels_fitted_on_the_scored_windows_are_refused():
    truth, mask = make_truth(0, 40)
    p, _ = everything(1, truth, mask, strength=0.5)
    data = predict(truth, p, 0.5)
    with pytest.raises(ValueError, match="train_truth: want other windows"):
        evaluate(data, seed=0, train_truth=truth)
    rule = Baseline.fit(p, inner_values=p, inner_truth=truth, meaning="x")
    with pytest.raises(ValueError, match="baselines: want 'rule' with a threshold from other windows"):
        evaluate(data, seed=0, baselines={"rule": rule})
    with pytest.raises(ValueError, match="baselines: want a name other than"):
        evaluate(data, seed=0, baselines={"none": rule})


def test_one_block_gets_a_report_only_without_intervals():
    truth, mask = make_truth(0, 20, blocks=1)
    data = predict(truth, mask.astype(np.float32), 0.5)
    with pytest.raises(ValueError, match="groups: want at least 2 clusters"):
        evaluate(data, seed=0)
    found = evaluate(data, seed=0, resamples=0)
    assert all(m.interval is None and m.skill_interval is None for m in found.metrics)


def test_few_blocks_are_noted():
    truth, mask = make_truth(0, 20, blocks=5)
    found = evaluate(predict(truth, mask.astype(np.float32), 0.5), seed=0, resamples=50)
    assert any("5 blocks only" in note for note in found.notes)


def test_windows_without_any_span_give_undefined_values_not_zero():
    truth, _ = make_truth(0, 4)
    nothing = truth.model_copy(
        update={"spans": TrueSpans(**{f: np.zeros(0, np.int64) for f in ("window", "start", "end", "type")})}
    )
    p = np.zeros((4, K), dtype=np.float32)
    found = evaluate(predict(nothing, p, 0.5), seed=0, resamples=20)
    assert np.isnan(found.metric("span_f1").value)
    assert np.isnan(found.metric("separation").value)
    assert not found.criteria[0].passed


def test_an_unknown_ceiling_and_a_probability_above_one_are_refused():
    truth, mask = make_truth(0, 40)
    with pytest.raises(ValueError, match="ceiling: want metrics of"):
        evaluate(predict(truth, mask.astype(np.float32), 0.5), seed=0, ceiling={"f1": 1.0})
    with pytest.raises(ValueError, match="probability: want numbers in"):
        evaluate(predict(truth, mask * 1.5, 0.5), seed=0)
