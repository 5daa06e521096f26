import math

import pytest
import torch

from moola_losses import UncertaintyWeighting

TASKS = ("type", "pointers", "span", "countdown")
VALUES = {"type": 2.0, "pointers": 0.01, "span": 0.7, "countdown": 1.5}


def leaves(values=VALUES):
    return {
        task: torch.tensor(value, dtype=torch.float64, requires_grad=True) for task, value in values.items()
    }


def test_uncertainty_has_one_parameter_a_task():
    assert sum(p.numel() for p in UncertaintyWeighting(TASKS).parameters()) == 4


def test_uncertainty_follows_its_formula_and_its_derivatives():
    balancer = UncertaintyWeighting(TASKS, log_sigma={"pointers": -0.3, "span": 0.2})
    losses = leaves()
    log_s = {"type": 0.0, "pointers": -0.3, "span": 0.2, "countdown": 0.0}
    wanted = sum(VALUES[t] / (2 * math.exp(log_s[t]) ** 2) + log_s[t] for t in TASKS)
    assert balancer.backward(losses).item() == pytest.approx(wanted, rel=1e-6)
    for task, slope in zip(TASKS, balancer.log_sigma.grad.tolist(), strict=True):
        # d/d(log s) of L e^(-2 log s) / 2 + log s
        assert slope == pytest.approx(1 - VALUES[task] * math.exp(-2 * log_s[task]), rel=1e-5)
        assert losses[task].grad.item() == pytest.approx(math.exp(-2 * log_s[task]) / 2, rel=1e-6)


def test_uncertainty_settles_at_the_root_of_the_loss():
    balancer = UncertaintyWeighting(TASKS)
    optimizer = torch.optim.Adam(balancer.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        balancer.backward(leaves())
        optimizer.step()
    assert balancer.sigma() == pytest.approx({t: math.sqrt(v) for t, v in VALUES.items()}, rel=1e-3)


def test_under_adam_sigma_measures_elapsed_steps():
    """168 windows in batches of 32 for 100 epochs at 1e-3: 600 steps from -0.30 towards ln 0.0975."""
    balancer = UncertaintyWeighting(("pointers",), log_sigma={"pointers": -0.3})
    optimizer = torch.optim.Adam(balancer.parameters(), lr=1e-3)
    for _ in range(600):
        optimizer.zero_grad()
        balancer.backward({"pointers": torch.tensor(0.0095)})
        optimizer.step()
    assert balancer.sigma()["pointers"] == pytest.approx(math.exp(-0.3 - 0.6), rel=0.02)


def test_uncertainty_agrees_with_the_log_variance_form_under_sgd():
    """L exp(-v)/2 + v/2 with v = 2 log s is the same function, so v's slope is half of log s's."""
    balancer = UncertaintyWeighting(TASKS)
    balancer.backward(leaves())
    v = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    (torch.tensor(list(VALUES.values()), dtype=torch.float64) * torch.exp(-v) / 2 + v / 2).sum().backward()
    # First step of SGD at 0.1 from zero: 0.05, -0.0495, -0.015, 0.025.
    torch.testing.assert_close(
        -0.1 * v.grad, torch.tensor([0.05, -0.0495, -0.015, 0.025], dtype=torch.float64)
    )
    torch.testing.assert_close(balancer.log_sigma.grad.double() / 2, v.grad)


def test_absent_tasks_keep_what_was_learnt_of_them():
    balancer = UncertaintyWeighting(TASKS, log_sigma={"pointers": -0.3, "span": 0.2})
    balancer.backward(leaves({"type": 2.0}))
    assert balancer.log_sigma.grad.tolist()[1:] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("form", ["kendall", "revised"])
def test_auto_starts_where_the_total_is_least_for_the_first_losses(form):
    balancer = UncertaintyWeighting(TASKS, form=form, init="auto")
    balancer(leaves()).backward()
    assert balancer.log_sigma.grad.tolist() == pytest.approx([0.0] * 4, abs=1e-5)


def test_auto_starts_a_task_when_it_first_comes_and_leaves_the_others():
    balancer = UncertaintyWeighting(TASKS, init="auto")
    balancer(leaves({"type": 4.0}))
    balancer(leaves({"type": 100.0, "span": 0.25}))
    sigma = balancer.sigma()
    assert (sigma["type"], sigma["span"], sigma["pointers"]) == pytest.approx((2.0, 0.5, 1.0))


def test_auto_wants_positive_losses_and_no_first_values():
    with pytest.raises(ValueError, match="init is 'auto', got -1 above it for 'span'"):
        UncertaintyWeighting(TASKS, init="auto")(leaves({"span": -1.0}))
    with pytest.raises(ValueError, match="log_sigma: want none where init is 'auto'"):
        UncertaintyWeighting(TASKS, init="auto", log_sigma={"span": 1.0})


def test_the_revised_total_is_not_negative():
    for log_sigma in (-5.0, 0.0, 5.0):
        balancer = UncertaintyWeighting(("a",), form="revised", log_sigma={"a": log_sigma})
        assert balancer({"a": torch.tensor(0.0)}).item() >= 0


def test_its_group_for_the_optimiser_has_its_own_learning_rate_and_no_decay():
    (group,) = UncertaintyWeighting(TASKS, learning_rate=0.03).param_groups()
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.03, 0.0, 1)
