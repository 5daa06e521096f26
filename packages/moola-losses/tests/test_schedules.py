import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from moola_losses.schedules import Constant, Linear, OriginCliff, WarmUp, resolve_schedule

SMOOTH = [Constant(value=0.3), Linear(start=2.0, end=0.5, over=10), WarmUp(value=3.0, over=7.5)]


@pytest.mark.parametrize("schedule", SMOOTH, ids=repr)
@settings(deadline=None, max_examples=40)
@given(times=st.lists(st.floats(0, 1e4), min_size=3, max_size=3).map(sorted))
def test_schedules_are_monotone_and_never_negative(schedule, times):
    values = [schedule.at(t) for t in times]
    assert values in (sorted(values), sorted(values, reverse=True))
    assert min(values) >= 0


@pytest.mark.parametrize("schedule", SMOOTH, ids=repr)
@settings(deadline=None, max_examples=40)
@given(time=st.floats(0, 100))
def test_schedules_do_not_jump(schedule, time):
    assert schedule.at(time + 1e-6) == pytest.approx(schedule.at(time), abs=1e-5)


def test_the_cliff_falls_fivefold_between_two_epochs():
    weights = [OriginCliff().at(epoch) for epoch in range(30)]
    assert [round(w, 4) for w in weights[:4]] == [0.1, 0.0983, 0.0967, 0.019]
    falls = [a / b for a, b in itertools.pairwise(weights)]
    assert falls[2] == pytest.approx(5 * (2 - 2 / 30) / (2 - 3 / 30))
    assert max(falls[:2] + falls[3:]) < 1.04


@pytest.mark.parametrize("schedule", [*SMOOTH, OriginCliff(base=0.5)], ids=repr)
def test_a_schedule_is_found_again_by_its_kind(schedule):
    assert resolve_schedule(schedule.model_dump()) == schedule
    assert resolve_schedule(schedule) is schedule


@pytest.mark.parametrize("time", [-1.0, float("nan")])
def test_times_before_the_start_are_refused(time):
    with pytest.raises(ValueError, match="time: want a number of at least 0"):
        Constant().at(time)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "cosine"}, "cosine"),
        ({"kind": "linear", "start": 1.0, "end": 0.0}, "over: Field required"),
        ({"kind": "warm_up", "over": 0}, "greater than 0"),
        ({"value": 1.0}, "kind"),
        ("linear", "want a number or a mapping"),
        (True, "want a number or a mapping"),
        (-1.0, "greater than or equal to 0"),
    ],
)
def test_what_is_no_schedule_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        resolve_schedule(value)


def test_schedules_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Constant().value = 2.0
