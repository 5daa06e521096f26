import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_models.temperature import fit_temperature


def labelled(n, classes, *, seed, sharpen=1.0):
    """Logits and labels drawn from their softmax; the logits are then multiplied."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, generator=generator, dtype=torch.float64)
    label = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    return sharpen * logits, label


def slow_best(logits, label):
    """The best temperature by golden section over log T, with the loss written out in Python floats."""
    rows = logits.tolist()

    def loss(log_t):
        b = math.exp(-log_t)
        total = 0.0
        for row, right in zip(rows, label.tolist(), strict=True):
            top = max(row)
            total += b * top + math.log(sum(math.exp(b * (v - top)) for v in row)) - b * row[right]
        return total / len(rows)

    low, high = math.log(1e-3), math.log(1e3)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        one, other = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, other) if loss(one) < loss(other) else (one, high)
    return math.exp((low + high) / 2), loss((low + high) / 2)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("sharpen", [0.2, 1.0, 8.0])
def test_the_optimum_is_that_of_a_slow_search(classes, sharpen):
    logits, label = labelled(60, classes, seed=classes, sharpen=sharpen)
    got = fit_temperature(logits, label)
    value, loss = slow_best(logits, label)
    assert got.value == pytest.approx(value, rel=1e-6)
    assert got.after == pytest.approx(loss, abs=1e-12)
    assert got.after <= got.before


def test_the_slope_is_zero_at_the_optimum():
    logits, label = labelled(500, 3, seed=5, sharpen=4.0)
    b = torch.tensor(1 / fit_temperature(logits, label).value, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.cross_entropy(b * logits, label).backward()
    assert b.grad.abs() < 1e-12


@settings(deadline=None, max_examples=20)
@given(st.floats(0.01, 100), st.integers(0, 5))
def test_sharper_logits_want_a_temperature_as_much_higher(factor, seed):
    logits, label = labelled(80, 3, seed=seed)
    one, other = fit_temperature(logits, label), fit_temperature(factor * logits, label)
    assert other.value == pytest.approx(factor * one.value, rel=1e-9)
    assert other.after == pytest.approx(one.after, rel=1e-12)


def test_calibrated_logits_want_a_temperature_near_1():
    assert fit_temperature(*labelled(20_000, 3, seed=0)).value == pytest.approx(1, abs=0.03)


def test_yes_or_no_is_two_classes():
    logits, label = labelled(200, 2, seed=3)
    odds = (logits[:, 1] - logits[:, 0]).reshape(20, 10)
    one, other = fit_temperature(logits, label), fit_temperature(odds, label.reshape(20, 10).float())
    assert other.value == pytest.approx(one.value, rel=1e-12)
    assert other.after == pytest.approx(one.after, rel=1e-12)
    assert other.examples == 200


def test_masked_labels_do_not_count_whatever_stands_there():
    logits, label = labelled(100, 3, seed=1)
    mask = torch.arange(100) % 3 > 0
    wild = torch.where(mask[:, None], logits, torch.nan)
    got = fit_temperature(wild, torch.where(mask, label, -7), mask=mask)
    assert got == fit_temperature(logits[mask], label[mask])


def test_float32_logits_of_a_network_are_taken():
    logits, label = labelled(100, 3, seed=1)
    got = fit_temperature(logits.float().requires_grad_(), label)
    assert got.value == pytest.approx(fit_temperature(logits, label).value, rel=1e-5)


def test_separable_labels_have_no_best_temperature():
    with pytest.raises(
        ValueError, match="want at least one label without the greatest logit, got none among 2"
    ):
        fit_temperature(torch.tensor([[1.0, 0], [0, 2.0]]), torch.tensor([0, 1]))


def test_logits_worse_than_chance_have_no_best_temperature():
    logits, label = labelled(200, 2, seed=0)
    with pytest.raises(ValueError, match="want better ones than chance"):
        fit_temperature(-logits, label)


@pytest.mark.parametrize(
    ("logits", "target", "mask", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(4), None, "target: want the shape of the logits"),
        (torch.zeros(3), torch.tensor([0, 1, 2]), None, r"target: want 0\.\.1, got 2 in counted row 2"),
        (torch.zeros(3), torch.tensor([0, 0.5, 1]), None, r"target: want 0\.\.1, got 0\.5 in counted row 1"),
        (torch.zeros(2, 3), torch.tensor([0, -1]), None, r"target: want 0\.\.2, got -1 in counted row 1"),
        (
            torch.tensor([0.0, torch.inf]),
            torch.tensor([0, 1]),
            None,
            "want finite numbers, got inf in counted",
        ),
        (torch.zeros(3), torch.zeros(3), torch.zeros(3, dtype=torch.bool), "mask: want at least one"),
        (torch.zeros(3), torch.zeros(3), torch.ones(2, dtype=torch.bool), r"mask: want bool \(3,\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(logits, target, mask, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, target, mask=mask)
