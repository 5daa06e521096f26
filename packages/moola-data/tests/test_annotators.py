import numpy as np
import pytest
from pydantic import ValidationError

from moola_data._score import bar_f1
from moola_data.annotators import ANNOTATORS, Annotator, annotate, marked_spans
from moola_data.posterior import covered
from moola_data.synthetic import benchmark


def mask(spans, n):
    out = np.zeros(n + 1, np.int64)
    np.add.at(out, spans.start, 1)
    np.add.at(out, spans.end + 1, -1)
    return np.cumsum(out)[:-1] > 0


@pytest.fixture(scope="module")
def bench():
    return benchmark(400, seed=3, per_stretch=20)


@pytest.mark.parametrize(("preset", "agreement"), [("careful", 0.93), ("typical", 0.84), ("hasty", 0.775)])
def test_two_annotators_of_a_kind_agree_as_documented(bench, preset, agreement):
    n = len(bench.bars)
    people = [mask(annotate(bench.truth, preset, bars=bench.bars, seed=s), n) for s in range(12)]
    pairs = [bar_f1(one, two) for one, two in zip(people[::2], people[1::2], strict=True)]
    assert abs(np.mean(pairs) - agreement) < 0.012


def test_the_same_seed_is_the_same_person(bench):
    one, two, other = (annotate(bench.truth, "hasty", bars=bench.bars, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.start, two.start)
    assert np.array_equal(one.end, two.end)
    assert not np.array_equal(one.start, other.start)


def test_edges_move_by_no_more_than_the_jitter_reaches(bench):
    person = Annotator(jitter=(0.2, 0.2, 0.2, 0.2, 0.2), miss=0.0)
    marks = annotate(bench.truth, person, bars=bench.bars, seed=1)
    assert np.abs(marks.start - bench.truth.start).max() == 2
    assert np.abs(marks.end - bench.truth.end).max() == 2


def test_a_person_without_error_marks_the_truth(bench):
    marks = annotate(bench.truth, Annotator(jitter=(1.0,), miss=0.0), bars=bench.bars, seed=1)
    assert np.array_equal(marks.start, bench.truth.start)
    assert np.array_equal(marks.end, bench.truth.end)


def test_marks_stay_inside_their_segment(bench):
    marks = annotate(bench.truth, "hasty", bars=bench.bars, seed=4)
    assert (marks.start <= marks.end).all()
    assert np.array_equal(bench.bars.segment[marks.start], bench.bars.segment[marks.end])
    assert 0.05 < 1 - len(marks) / len(bench.truth) < 0.15


def test_marked_posterior_equals_the_share_of_people_who_mark():
    # The truth is known here: all its probability stands on two spans, one at the stretch's first bar.
    bench = benchmark(1, seed=0, length=30, warmup=0)
    truth = bench.truth.model_copy(
        update={
            "start": np.array([0, 15]),
            "end": np.array([1, 20]),
            "type": np.zeros(2, np.int64),
            "weight": np.ones(2, np.float32),
        }
    )
    spans = np.zeros((30, 6))
    spans[0, 1] = spans[15, 5] = 1
    wanted = covered(marked_spans(spans, np.array([0, 30]), preset="typical"))
    people = 4000
    share = np.mean(
        [mask(annotate(truth, "typical", bars=bench.bars, seed=s), 30) for s in range(people)], axis=0
    )
    assert (np.abs(share - wanted) < 4.5 * np.sqrt(wanted * (1 - wanted) / people) + 1e-9).all()


def test_an_unknown_preset_is_refused(bench):
    with pytest.raises(ValueError, match=r"preset: want one of .*'sloppy'"):
        annotate(bench.truth, "sloppy", bars=bench.bars, seed=1)


@pytest.mark.parametrize("jitter", [(0.5, 0.5), (0.5, 0.4, 0.2), (-0.1, 1.2, -0.1)])
def test_jitter_must_be_a_distribution_around_zero(jitter):
    with pytest.raises(ValidationError, match="jitter: want an odd number"):
        Annotator(jitter=jitter, miss=0.0)


def test_presets_are_ordered_by_care():
    misses = [ANNOTATORS[name].miss for name in ("careful", "typical", "hasty")]
    assert misses == sorted(misses)
