import numpy as np
import pytest

from moola_eval import EvalInput, Spans, Truth, decode, span_f1
from moola_eval.comparison import compare
from moola_eval.forecast import Forecast
from moola_eval.judgement_charts import comparison_chart
from moola_eval.paired import compare_predictions
from moola_eval.schema import PredictedSpans, Prediction, TrueSpans
from moola_eval.targets import Targets
from moola_eval.timeline import differing_windows

N, K = 30, 20


def made(noise: float, *, seed: int = 0, shift: int = 0, labels: int = 0) -> EvalInput:
    rng = np.random.default_rng(labels)
    mask = np.zeros((N, K), bool)
    for row in mask[1:]:
        start = rng.integers(0, K - 6)
        row[start : start + 5] = True
    true = Spans.from_mask(mask)
    starts, group = shift + np.arange(N) * K, np.arange(N) // 2
    p = np.clip(mask + noise * np.random.default_rng(seed).normal(size=mask.shape), 0, 1).astype(np.float32)
    found = decode(p, threshold=0.5)
    assert found.score is not None
    spans = PredictedSpans(
        window=found.sequence,
        start=found.start,
        end=found.end,
        score=found.score.astype(np.float32),
        type=np.full(len(found), -1, np.int64),
    )
    table = TrueSpans(
        window=true.sequence, start=true.start, end=true.end, type=np.full(len(true), -1, np.int64)
    )
    return EvalInput(
        prediction=Prediction(probability=p, spans=spans, starts=starts, group=group),
        truth=Truth(starts=starts, length=K, group=group, spans=table, type_names=()),
    )


def test_the_better_model_is_named_by_scores_and_errors_alike():
    good, bad = made(0.1), made(0.6)
    found = compare_predictions(good, bad, seed=0, resamples=300, permutations=300)
    by_name = {one.comparison.metric: one for one in found}
    assert by_name["span_f1"].better == "a"
    assert by_name["bar_brier"].better == "a"
    assert not by_name["bar_brier"].higher_is_better
    assert by_name["bar_brier"].comparison.delta < 0
    assert all(one.p_adjusted >= one.comparison.p_value for one in found if one.p_adjusted == one.p_adjusted)
    turned = compare_predictions(bad, good, seed=0, resamples=300, permutations=300)
    assert {one.comparison.metric: one.better for one in turned}["span_f1"] == "b"
    assert "bar_auroc" not in by_name


def test_each_comparison_is_that_of_the_scores_themselves():
    a, b = made(0.3), made(0.4, seed=1)
    found = {one.comparison.metric: one.comparison for one in compare_predictions(a, b, seed=5, resamples=50)}
    targets = Targets.of(a.truth)
    scores = [span_f1(targets.spans, Forecast.of(one.prediction).spans, labels="ignored") for one in (a, b)]
    assert found["span_f1"] == compare(*scores, groups=a.truth.group, seed=5, resamples=50)


def test_a_model_against_itself_is_undecided_everywhere():
    a = made(0.3)
    for one in compare_predictions(a, a, seed=0, resamples=50, permutations=50):
        assert one.better is None
        if not np.isnan(one.comparison.delta):
            assert one.comparison.delta == 0
            assert one.comparison.p_value == 1


@pytest.mark.parametrize(
    ("change", "wanted"),
    [({"shift": 7}, "other starts first in row 0"), ({"labels": 1}, "labels of a on the same windows")],
)
def test_other_windows_or_labels_are_refused_in_words(change, wanted):
    with pytest.raises(ValueError, match=f"b: want .*{wanted}"):
        compare_predictions(made(0.3), made(0.3, **change), seed=0)


def test_the_chart_has_a_row_for_every_metric_that_differs():
    found = compare_predictions(made(0.1), made(0.5), seed=0, resamples=50, permutations=50)
    drawing = comparison_chart(found, names=("<one>", "two"))
    shown = [one for one in found if one.comparison.interval.high > one.comparison.interval.low]
    assert drawing.count("<circle") == len(shown) > 5
    assert "<one>" not in drawing
    assert "nan" not in drawing
    assert "<svg" in comparison_chart([], names=("a", "b"))


def test_windows_are_picked_where_the_two_differ_most():
    good, bad = made(0.05), made(0.6)
    targets = Targets.of(good.truth)
    chosen = differing_windows(targets, Forecast.of(good.prediction), Forecast.of(bad.prediction))
    assert chosen[0].rank == "a"
    assert chosen[0].f1 > 0
    alike = Forecast.of(good.prediction)
    assert differing_windows(targets, alike, alike) == []
