"""Values of the published codes on one sequence of losses, within 1e-6; sources and versions in the file."""

import json
import math
from pathlib import Path

import pytest
import torch

from moola_losses.registry import resolve_balancer

FOUND = json.loads(Path(__file__).with_name("weighting_references.json").read_text(encoding="utf-8"))
TASKS = ("type", "pointers", "span", "countdown")


def leaves(row):
    return {
        task: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for task, value in zip(TASKS, row, strict=True)
    }


def make(kind, **settings):
    return resolve_balancer({"kind": kind} | settings).build(TASKS).double()


def slopes(balancer, row):
    """Losses' gradients, float64: the balancer's own record is of 32 bits."""
    losses = leaves(row)
    total = balancer.backward(losses)
    return total.item(), [loss.grad.item() for loss in losses.values()]


def learn(balancer, optimizer, row):
    optimizer.zero_grad()
    found = slopes(balancer, row)
    (parameter,) = balancer.parameters()
    gradient = parameter.grad.clone()
    optimizer.step()
    return *found, gradient, parameter.detach().clone()


@pytest.mark.parametrize(
    ("name", "first", "optimizer"),
    [
        # Their s is 2 log sigma, its slope half of ours: our steps are a quarter in SGD and half in Adam.
        ("uncertainty_sgd", 0.0, lambda p: torch.optim.SGD(p, lr=0.025)),
        ("uncertainty_sgd_from_minus_half", -0.25, lambda p: torch.optim.SGD(p, lr=0.025)),
        ("uncertainty_adam", 0.0, lambda p: torch.optim.Adam(p, lr=0.005, eps=2e-8)),
    ],
)
def test_uncertainty(name, first, optimizer):
    balancer = make("uncertainty", log_sigma=dict.fromkeys(TASKS, first))
    steps = optimizer(balancer.parameters())
    for row, wanted in zip(FOUND["losses"], FOUND[name], strict=True):
        total, weights, gradient, after = learn(balancer, steps, row)
        assert gradient.div(2).tolist() == pytest.approx(wanted["grad"], abs=1e-6)
        assert after.mul(2).tolist() == pytest.approx(wanted["param_after"], abs=1e-6)
        if "loss" in wanted:
            assert total == pytest.approx(wanted["loss"], abs=1e-6)
        else:
            assert weights == pytest.approx(wanted["weights"], abs=1e-6)


def test_revised_uncertainty_at_the_references_sigmas():
    sigma = [1.0] * 4
    for row, wanted in zip(FOUND["losses"], FOUND["uncertainty_revised"], strict=True):
        log_sigma = {task: math.log(s) for task, s in zip(TASKS, sigma, strict=True)}
        balancer = make("uncertainty", form="revised", log_sigma=log_sigma)
        total, _ = slopes(balancer, row)
        by_sigma = balancer.log_sigma.grad / torch.tensor(sigma, dtype=torch.float64)
        assert total == pytest.approx(wanted["loss"], abs=1e-6)
        assert by_sigma.tolist() == pytest.approx(wanted["grad"], abs=1e-6)
        sigma = wanted["param_after"]


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("imtl_l_sgd", lambda p: torch.optim.SGD(p, lr=0.1)),
        ("imtl_l_adam", lambda p: torch.optim.Adam(p, lr=0.01)),
    ],
)
def test_imtl_l(name, optimizer):
    balancer = make("imtl_l")
    steps = optimizer(balancer.parameters())
    for row, wanted in zip(FOUND["losses"], FOUND[name], strict=True):
        total, _, gradient, after = learn(balancer, steps, row)
        assert total == pytest.approx(wanted["loss"], abs=1e-6)
        assert gradient.tolist() == pytest.approx(wanted["grad"], abs=1e-6)
        assert after.tolist() == pytest.approx(wanted["param_after"], abs=1e-6)


@pytest.mark.parametrize("temperature", [1, 5])
def test_soft_uncertainty(temperature):
    balancer = make("uw_so", prenorm=None, temperature=temperature)
    for row, wanted in zip(FOUND["losses"], FOUND[f"uw_so_{temperature}"], strict=True):
        assert slopes(balancer, row)[1] == pytest.approx(wanted, abs=1e-6)


def test_log_sum():
    for row, wanted in zip(FOUND["losses"], FOUND["log_sum"], strict=True):
        assert slopes(make("log_sum"), row)[1] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("by_itself", [False, True])
def test_dwa(by_itself):
    balancer = make("dwa", **({"steps_per_epoch": 1} if by_itself else {}))
    for row, wanted in zip(FOUND["losses"], FOUND["dwa"], strict=True):
        assert slopes(balancer, row)[1] == pytest.approx(wanted, abs=1e-6)
        balancer.epoch_end()


@pytest.mark.parametrize(("name", "decay"), [("famo_decay_1e-2", 0.01), ("famo_decay_1e-3", 0.001)])
@pytest.mark.parametrize("refresh", ["after_step", "next_batch"])
def test_famo(name, decay, refresh):
    balancer = make("famo", decay=decay, refresh=refresh)
    for k, wanted in enumerate(FOUND[name]):
        _, weights = slopes(balancer, FOUND["losses"][k])
        assert weights == pytest.approx(wanted["weights_dloss_dL"], abs=1e-6)
        if refresh == "after_step":
            balancer.after_step(leaves(FOUND["losses"][k + 1]))
            assert balancer.logits.tolist() == pytest.approx(wanted["w_after"], abs=1e-6)


def test_gls_is_the_derivative_of_the_geometric_mean():
    for row in FOUND["losses"]:
        losses = leaves(row)
        math_mean = torch.stack(list(losses.values())).log().mean().exp()
        math_mean.backward()
        wanted = [loss.grad.item() for loss in losses.values()]
        assert slopes(make("gls"), row)[1] == pytest.approx(wanted, rel=1e-9)
    # The published value for the first row, to the digits given.
    first = [0.04758, 9.51689, 0.13596, 0.06345]
    assert slopes(make("gls"), FOUND["losses"][0])[1] == pytest.approx(first, abs=5e-5)


@pytest.mark.parametrize("smoothness", [0.1, 1.0])
def test_smooth_tchebycheff_is_the_derivative_of_the_smooth_maximum(smoothness):
    preferences = {"type": 1.0, "pointers": 2.0, "span": 0.5, "countdown": 1.0}
    floors = {"span": 0.125}
    balancer = make("stch", smoothness=smoothness, preferences=preferences, floors=floors)
    for row in FOUND["losses"]:
        losses = leaves(row)
        scaled = [preferences[t] * (loss - floors.get(t, 0.0)) / smoothness for t, loss in losses.items()]
        (smoothness * torch.stack(scaled).logsumexp(0)).backward()
        wanted = [loss.grad.item() for loss in losses.values()]
        assert slopes(balancer, row)[1] == pytest.approx(wanted, rel=1e-9)
