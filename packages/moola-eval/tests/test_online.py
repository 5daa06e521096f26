import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.online import detection_delay, false_alarms
from moola_eval.spans import Spans

K = 30
mask = st.lists(st.booleans(), min_size=K, max_size=K)
span = st.tuples(st.integers(0, 22), st.integers(0, 7)).map(lambda s: (s[0], s[0] + s[1]))
worlds = st.lists(st.tuples(st.lists(span, max_size=4), mask), min_size=1, max_size=3)


def sides(world):
    true = Spans.from_lists([rows for rows, _ in world], lengths=[K] * len(world))
    return true, Spans.from_mask(np.array([on for _, on in world], dtype=bool))


@given(worlds)
@settings(deadline=None, max_examples=80)
def test_delay_equals_a_walk_over_the_bars(world):
    delays, total = [], 0
    for rows, on in world:
        for start, end in rows:
            total += 1
            heard = [t - start for t in range(start, end + 1) if on[t]]
            delays += heard[:1]
    score = detection_delay(*sides(world))
    assert np.isclose(score.value, np.mean(delays) if delays else np.nan, equal_nan=True)
    assert np.isclose(score["detected"], len(delays) / total if total else np.nan, equal_nan=True)


@given(worlds, st.integers(0, 4))
@settings(deadline=None, max_examples=80)
def test_false_alarms_equal_a_walk_over_the_alarms(world, tolerance):
    true, alarms = sides(world)
    false = 0
    for sequence, start, end in zip(alarms.sequence, alarms.start, alarms.end, strict=True):
        rows = world[sequence][0]
        false += not any(s - tolerance <= end and e + tolerance >= start for s, e in rows)
    score = false_alarms(true, alarms, tolerance=tolerance)
    assert score.counts["n_false"] == false
    assert score.value == pytest.approx(1000 * false / (K * len(world)))


def test_an_alarm_that_was_on_before_has_no_delay():
    true = Spans.from_lists([[(10, 14)]], lengths=[K])
    assert detection_delay(true, Spans.from_lists([[(5, 20)]], lengths=[K])).value == 0.0


def test_impossible_settings_are_refused():
    nothing = Spans.from_lists([[]], lengths=[K])
    with pytest.raises(ValueError, match="tolerance, per: want 0 or more"):
        false_alarms(nothing, nothing, tolerance=-1)
