"""Gradients that are hard on arithmetic: tiny, huge, many powers of ten apart, overflown, listed twice."""

import numpy as np
import pytest
import torch
from torch import nn

from moola_losses import Doctor, resolve_balancer
from moola_losses.fair_weights import fair_weights
from moola_losses.gramian import EXACT, gramian
from moola_losses.testing import TASKS, check_balancer


def problem(rows):
    shared = nn.Parameter(torch.zeros(rows.shape[1], dtype=rows.dtype))
    return {t: row @ shared + 1 for t, row in zip(TASKS, rows, strict=False)}, shared


@pytest.mark.parametrize("size", [1e-24, 1e-12, 1e12, 1e18, 1e24])
def test_long_gradients_keep_their_products_beyond_the_range_of_32_bits(size):
    rows = torch.randn(3, EXACT + 500, generator=torch.Generator().manual_seed(0))
    wanted = gramian([rows])
    torch.testing.assert_close(gramian([rows * size]) / size / size, wanted, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("decades", [6, 9, 12])
@pytest.mark.parametrize("seed", range(3))
def test_fair_weights_solve_their_equations_over_many_powers_of_ten(alpha, decades, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(6, 14))
    rows *= 10.0 ** random.permutation(np.linspace(-decades / 2, decades / 2, 6))[:, None]
    weights = fair_weights(rows @ rows.T, alpha=alpha, preferences=np.ones(6))
    gains = rows @ (weights @ rows)
    np.testing.assert_allclose(gains * weights ** (1 / alpha), 1.0, rtol=1e-4)


def test_opposed_gradients_have_no_fair_weights_and_one_error_says_so():
    random = np.random.default_rng(0)
    for _ in range(30):
        rows = random.normal(size=(6, 2)) * 10.0 ** random.uniform(-6, 6, size=(6, 1))
        rows[1] = -rows[0]
        with pytest.raises(ValueError, match="want a direction that lowers every loss"):
            fair_weights(rows @ rows.T, alpha=2.0, preferences=np.ones(6))


@pytest.mark.parametrize("kind", ["upgrad", "gradscale", "db_mtl", "unit"])
def test_a_shared_parameter_listed_twice_has_one_gradient(kind):
    rows = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for times in (1, 2):
        losses, shared = problem(rows)
        resolve_balancer(kind).build(TASKS).backward(losses, shared=[shared] * times)
        found.append(shared.grad)
    assert torch.equal(*found)


def test_the_doctor_counts_a_shared_parameter_once():
    losses, shared = problem(torch.eye(4))
    doctor = Doctor(TASKS, every=1)
    doctor.observe(losses, shared=[shared, shared])
    assert doctor.report().tasks["type"].gradient_norm == pytest.approx(1.0)


def test_unit_measures_again_after_an_overflow_of_the_scaler():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    balancer = resolve_balancer({"kind": "unit", "probe": 1}).build(TASKS)
    rows = torch.eye(4) * torch.tensor([1.0, 2.0, 4.0, 8.0])
    losses, shared = problem(rows * 1e36)
    balancer.backward(losses, shared=[shared], scaler=scaler)
    assert set(balancer.coefficients().values()) == {1.0}
    assert not shared.grad.isfinite().all()
    losses, shared = problem(rows)
    balancer.backward(losses, shared=[shared], scaler=scaler)
    found = np.array(list(balancer.coefficients().values()))
    np.testing.assert_allclose(found * [1, 2, 4, 8], found[0], rtol=1e-6)


def test_unit_names_the_task_whose_gradient_is_not_finite():
    losses, shared = problem(torch.eye(4))
    losses["span"] = losses["span"] + (shared[0] * 0).sqrt()
    with pytest.raises(ValueError, match="want finite gradients, got one that is not for 'span'"):
        resolve_balancer("unit").build(TASKS).backward(losses, shared=[shared])


def test_one_task_keeps_its_gradient_with_a_memory_of_gradients():
    balancer = resolve_balancer({"kind": "db_mtl", "memory": "gradients"}).build(TASKS)
    for row in (torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])):
        losses, shared = problem(row[None])
        balancer.backward(losses, shared=[shared])
        assert torch.equal(shared.grad, row)


@pytest.mark.parametrize("inner", ["db_mtl", "gradnorm", "upgrad", "nash"])
def test_every_promises_what_its_inner_balancer_does(inner):
    check_balancer(resolve_balancer({"kind": "every", "n": 3, "inner": inner}))


@pytest.mark.parametrize("normaliser", ["norm", "loss", "loss_norm"])
def test_normalised_mgda_keeps_its_promises(normaliser):
    check_balancer(resolve_balancer({"kind": "mgda", "normaliser": normaliser}))


def test_unit_that_skips_keeps_its_promises():
    check_balancer(resolve_balancer({"kind": "unit", "probe": 3, "skip": 2}))
