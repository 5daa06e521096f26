import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moola_eval.entry_calibration import EntryTemperature, entry_calibration_error

quick = settings(deadline=None, max_examples=40)


def made(seed, n=4000, power=1.0):
    """Entries whose log-probabilities are `power` times what they should be."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.99, n)
    return power * np.log(p), rng.random(n) < p


def ids(n, name="a"):
    return [f"{name}{i}" for i in range(n)]


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_wrong_power_on_other_entries(power):
    logs, exact = made(0, power=power)
    fitted = EntryTemperature.fit(logs, exact, entries=ids(4000))
    assert fitted.temperature == pytest.approx(power, rel=0.08)
    other, right = made(1, power=power)
    p = fitted.probability(other, entries=ids(4000, "b"))
    after = entry_calibration_error(np.log(p), right).value
    assert after < 0.04
    if power != 1:
        assert after < entry_calibration_error(other, right).value / 2


@quick
@given(st.lists(st.tuples(st.floats(-30, 0), st.booleans()), min_size=2, max_size=9))
@example([(-16.0, True), (-30.0, True), (-1.19e-07, False)])
@example([(-1e-9, False), (-30.0, True), (0.0, False)])
def test_no_other_temperature_is_likelier(rows):
    logs, exact = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if exact.all() or not exact.any():
        exact[0] = not exact[0]
    fitted = EntryTemperature.fit(logs, exact, entries=ids(len(rows)))

    def loss(temperature):
        scaled = np.minimum(logs, np.log1p(-1e-9)) / temperature
        return -np.mean(
            [s if right else math.log(-math.expm1(s)) for s, right in zip(scaled, exact, strict=True)]
        )

    assert fitted.after == pytest.approx(loss(fitted.temperature), rel=1e-4, abs=1e-6)
    assert fitted.before == pytest.approx(loss(1.0), rel=1e-4, abs=1e-6)
    assert fitted.after <= min(loss(t) for t in np.exp(np.linspace(-6.9, 6.9, 60))) + 1e-4


def test_entries_that_were_fitted_on_cannot_be_reported():
    logs, exact = made(0, n=50)
    fitted = EntryTemperature.fit(logs, exact, entries=ids(50))
    with pytest.raises(ValueError, match="entries: want others than those fitted on, got 'a7' in row 1"):
        fitted.probability(logs[:2], entries=["b1", "a7"])


def test_always_sure_and_half_right_is_half_wrong():
    assert entry_calibration_error(np.zeros(4), np.array([True, False] * 2)).value == 0.5


@pytest.mark.parametrize(
    ("logs", "exact", "names", "message"),
    [
        ([[0.0]], [True], 1, r"log_probability: want shape \(n,\)"),
        ([0.0, -1], [True], 2, r"exact: want shape \(2,\), got \(1,\)"),
        ([0.5, -1], [True, False], 2, "log_probability: want numbers in"),
        ([0.0, -1], [True, True], 2, "exact: want right and wrong entries, got 2 of 2 right"),
        ([0.0, -1], [True, False], 1, "entries: want 2 ids, got 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logs, exact, names, message):
    with pytest.raises(ValueError, match=message):
        EntryTemperature.fit(np.array(logs), np.array(exact), entries=ids(names))
