import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_train import Callback, fit
from moola_train.schedules import Constant, Cosine, OneCycle, Plateau

KINDS = [Constant(warmup_steps=5), Cosine(warmup_steps=5, floor=0.1), OneCycle(), Plateau(warmup_steps=5)]


@settings(deadline=None, max_examples=40)
@given(schedule=st.sampled_from(KINDS), steps=st.integers(1, 300), data=st.data())
def test_factor_lies_between_0_and_1(schedule, steps, data):
    step = data.draw(st.integers(1, steps))
    assert 0 <= schedule.factor(step, steps) <= 1


def test_first_step_of_a_warm_up_is_not_at_full_rate():
    assert [Cosine(warmup_steps=4).factor(s, 100) for s in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]


def test_cosine_falls_evenly_about_its_middle_to_the_floor():
    schedule = Cosine(warmup_steps=10, floor=0.2)
    assert schedule.factor(60, 110) == pytest.approx(0.6)
    assert schedule.factor(110, 110) == pytest.approx(0.2)
    falling = [schedule.factor(s, 110) for s in range(10, 111)]
    assert falling == sorted(falling, reverse=True)


def test_one_cycle_peaks_where_the_rise_ends():
    factors = [OneCycle(rise=0.3).factor(s, 100) for s in range(1, 101)]
    assert factors[29] == max(factors) == 1.0
    assert factors[-1] == pytest.approx(4e-6)
    assert factors[:30] == sorted(factors[:30])
    assert factors[29:] == sorted(factors[29:], reverse=True)


def test_optimiser_has_the_rate_of_its_step(small):
    rates = []

    class Watch(Callback):
        def on_backward(self, state):
            rates.append([group["lr"] for group in state.optimizer.param_groups])
            return ()

    schedule = Cosine(warmup_steps=3)
    config = small.config(epochs=2, schedule=schedule, balancer_learning_rate=0.5)
    result = fit(small.model(), small.data(), small.tasks, small.balancer(), config, callbacks=[Watch()])
    expected = [schedule.factor(s, 14) for s in range(1, 15)]
    for rate, factor in zip(rates, expected, strict=True):
        assert rate == pytest.approx([0.01 * factor, 0.01 * factor, 0.5 * factor])
    recorded = [r.value for r in result.records if r.name == "learning_rate"]
    assert recorded == pytest.approx([0.01 * expected[6], 0.01 * expected[13]])


def test_plateau_cuts_after_its_patience_and_stays_cut(small):
    values = iter([5.0, 6.0, 6.0, 4.0, 4.0, 4.0, 4.0])
    config = small.config(epochs=7, selection="x", schedule={"kind": "plateau", "patience": 2, "cut": 0.1})
    result = fit(
        small.model(), small.data(), small.tasks, None, config, select=lambda m, s: {"x": next(values)}
    )
    rates = [r.value for r in result.records if r.name == "learning_rate"]
    assert [round(-math.log10(r)) for r in rates] == [2, 2, 2, 3, 3, 3, 4]


def test_plateau_stops_at_its_floor():
    assert Plateau(cut=0.5, floor=0.2).after(10) == 0.2
