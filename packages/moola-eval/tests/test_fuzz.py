"""Any input gives a clear error or a defined value with a count, never something silent."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval import EvalInput, evaluate
from moola_eval.affiliation import affiliation
from moola_eval.anatomy import anatomy
from moola_eval.average_precision import average_precision
from moola_eval.detection import span_f1
from moola_eval.online import detection_delay, false_alarms
from moola_eval.overlap import overlap_f1
from moola_eval.range_score import range_f1
from moola_eval.spans import Spans

K = 8
probability = st.one_of(
    st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, -0.5, 1.5])
)
bar = st.integers(-2, K + 1)
table = st.lists(st.tuples(st.integers(-1, 3), bar, bar, st.integers(-2, 2)), max_size=6)


def tame(n):
    """Spans inside n windows, overlapping and repeated as chance has it."""
    place = st.tuples(
        st.integers(0, max(0, n - 1)), st.integers(0, K - 1), st.integers(0, K - 1), st.integers(-1, 1)
    )
    ordered = place.map(lambda s: (s[0], min(s[1:3]), max(s[1:3]), s[3]))
    return st.lists(ordered, max_size=6 if n else 0)


@st.composite
def inputs(draw):
    n = draw(st.integers(0, 3))
    wild = draw(st.booleans())
    values = draw(
        st.lists(probability if wild else st.floats(0, 1, width=32), min_size=n * K, max_size=n * K)
    )
    rows = table if wild else tame(n)
    pred, true = (np.array(draw(rows), dtype=np.int64).reshape(-1, 4) for _ in range(2))
    shared = {"starts": np.arange(n), "group": np.arange(n) // draw(st.integers(1, 2))}

    def columns(rows):
        return {"window": rows[:, 0], "start": rows[:, 1], "end": rows[:, 2], "type": rows[:, 3]}

    return SimpleNamespace(
        prediction=SimpleNamespace(
            probability=np.array(values, dtype=np.float32).reshape(n, K),
            spans=SimpleNamespace(**columns(pred), score=np.ones(len(pred), dtype=np.float32)),
            pointers=None,
            countdown=None,
            type_probability=None,
            **shared,
        ),
        truth=SimpleNamespace(
            length=K, spans=SimpleNamespace(**columns(true)), type_names=("a", "b"), **shared
        ),
    )


def legal(world):
    p, n = world.prediction.probability, len(world.truth.starts)
    rows = [world.prediction.spans, world.truth.spans]
    inside = all(
        np.all((s.window >= 0) & (s.window < n) & (s.start >= 0) & (s.start <= s.end) & (s.end < K))
        for s in rows
    )
    kinds = np.all((world.truth.spans.type >= -1) & (world.truth.spans.type < 2))
    return inside and kinds and np.all((p >= 0) & (p <= 1))


@given(inputs())
@settings(deadline=None, max_examples=200)
def test_a_report_is_written_for_legal_input_and_refused_for_any_other(world):
    if not legal(world):
        with pytest.raises(ValueError, match="want"):
            evaluate(EvalInput.model_validate(world), seed=0, resamples=0)
        return
    report = evaluate(EvalInput.model_validate(world), seed=0, resamples=0)
    assert report.data.n_true == len(world.truth.spans.start)
    for metric in report.metrics:
        assert np.isnan(metric.value) or np.isfinite(metric.value)
        assert all(np.isfinite(count) for count in metric.counts.values())
    assert sum(report.true_anatomy.values()) == report.data.n_true
    assert sum(report.pred_anatomy.values()) == report.data.n_pred


span = st.tuples(st.integers(0, K - 1), st.integers(0, K - 1), st.integers(0, 1), st.floats(0, 1)).map(
    lambda s: (min(s[:2]), max(s[:2]), s[2], s[3])
)
side = st.lists(st.lists(span, max_size=4), min_size=2, max_size=2)


@given(side, side)
@settings(deadline=None, max_examples=150)
def test_overlapping_and_repeated_spans_have_defined_scores_between_zero_and_one(a, b):
    true, pred = (Spans.from_lists(rows, lengths=[K, K]) for rows in (a, b))
    for metric in (span_f1, overlap_f1, average_precision):
        score = metric(true, pred)
        assert np.isnan(score.value) or 0 <= score.value <= 1
        if np.isnan(score.value):
            assert score.counts["n_true"] == 0
    for metric in (range_f1, affiliation):
        score = metric(true.merged(), pred.merged())
        assert np.isnan(score.value) or -1e-12 <= score.value <= 1 + 1e-12
    assert false_alarms(true, pred).value >= 0
    assert np.isnan(detection_delay(true, pred).value) or detection_delay(true, pred).value >= 0
    assert sum(anatomy(true, pred).pred_counts.values()) == len(pred)


def test_no_sequence_at_all_is_undefined_everywhere():
    nothing = Spans.from_lists([], lengths=[])
    for metric in (span_f1, overlap_f1, average_precision, range_f1, affiliation, false_alarms):
        assert np.isnan(metric(nothing, nothing).value)
