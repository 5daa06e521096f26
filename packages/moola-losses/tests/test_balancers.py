import itertools
import math
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from moola_losses import Balancer, Static, UncertaintyWeighting, resolve_balancer
from moola_losses.registry import BUILT_IN

TASKS = ("type", "pointers", "span", "countdown")
VALUES = {"type": 2.0, "pointers": 0.01, "span": 0.7, "countdown": 1.5}
SETTINGS = {
    "static": {"weights": {"pointers": 3.0, "span": 0.5}},
    "uncertainty": {"log_sigma": {"pointers": -0.3, "span": 0.2}},
}
every_kind = pytest.mark.parametrize("kind", sorted(BUILT_IN))


def make(kind, tasks=TASKS):
    chosen = {key: {t: v for t, v in by.items() if t in tasks} for key, by in SETTINGS.get(kind, {}).items()}
    return resolve_balancer({"kind": kind} | chosen).build(tasks)


def leaves(values=VALUES):
    return {
        task: torch.tensor(value, dtype=torch.float64, requires_grad=True) for task, value in values.items()
    }


def gradients(balancer, losses):
    balancer.zero_grad()
    balancer.backward(losses)
    return {task: loss.grad.item() for task, loss in losses.items()}


@every_kind
def test_the_order_of_losses_and_of_tasks_does_not_matter(kind):
    wanted = gradients(make(kind), leaves())
    for order in itertools.islice(itertools.permutations(TASKS), 0, 24, 5):
        shuffled = {task: VALUES[task] for task in order}
        assert gradients(make(kind, order), leaves(shuffled)) == pytest.approx(wanted, rel=1e-12)


@every_kind
@pytest.mark.parametrize("left_out", ["missing", "none"])
def test_an_absent_task_is_a_dropped_task(kind, left_out):
    present = {task: VALUES[task] for task in ("type", "span")}
    some = leaves(present)
    given = some if left_out == "missing" else some | {"pointers": None, "countdown": None}
    dropped = make(kind, ("type", "span"))
    torch.testing.assert_close(make(kind)(given), dropped(leaves(present)))
    make(kind).backward(given)
    assert {task: loss.grad.item() for task, loss in some.items()} == gradients(dropped, leaves(present))


@every_kind
def test_coefficients_are_the_gradients_that_the_losses_get(kind):
    balancer = make(kind)
    assert gradients(balancer, leaves()) == pytest.approx(balancer.coefficients())


@every_kind
def test_backward_adds_to_gradients_that_are_there(kind):
    losses, again = leaves(), leaves()
    balancer = make(kind)
    balancer.backward(losses, retain_graph=True)
    balancer.backward(losses)
    once = gradients(make(kind), again)
    assert {t: loss.grad.item() for t, loss in losses.items()} == pytest.approx(
        {t: 2 * g for t, g in once.items()}
    )


@every_kind
def test_backward_returns_the_total_detached(kind):
    balancer = make(kind)
    total = balancer.backward(leaves())
    assert not total.requires_grad
    torch.testing.assert_close(total, balancer(leaves()).detach())


@every_kind
def test_backward_equals_the_scalars_backward_on_a_network(kind):
    def step(use):
        torch.manual_seed(0)
        net, balancer = nn.Linear(3, 4).double(), make(kind)
        out = net(torch.ones(2, 3, dtype=torch.float64)).square().mean(0)
        use(balancer, dict(zip(TASKS, out.unbind(), strict=True)))
        return [p.grad for p in [*net.parameters(), *balancer.parameters()]]

    one = step(lambda balancer, losses: balancer(losses).backward())
    other = step(lambda balancer, losses: balancer.backward(losses))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@every_kind
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named(kind, bad):
    with pytest.raises(ValueError, match=f"losses: want finite numbers, got {bad} for 'span'"):
        make(kind)(leaves(VALUES | {"span": bad}))


@every_kind
def test_a_loss_that_is_not_finite_passes_if_asked(kind):
    balancer = resolve_balancer({"kind": kind, "non_finite": "pass"}).build(TASKS)
    assert balancer(leaves(VALUES | {"span": math.nan})).isnan()


@pytest.mark.parametrize("kind", ["static", "uncertainty", "imtl_l"])
def test_negative_and_zero_losses_are_weighted_like_others(kind):
    found = gradients(make(kind), leaves(dict(zip(TASKS, (-3.0, 0.0, -0.1, 2.0), strict=True))))
    assert found == pytest.approx(gradients(make(kind), leaves()))


@every_kind
@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"price": torch.tensor(1.0)}, "losses: want tasks among .*, got 'price'"),
        ({}, "losses: want one task or more"),
        ({"span": None}, "losses: want one task or more"),
        ({"span": torch.ones(2)}, r"losses: want a scalar for 'span', got shape \(2,\)"),
    ],
)
def test_losses_that_do_not_fit_are_refused(kind, losses, message):
    with pytest.raises(ValueError, match=message):
        make(kind)(losses)


@every_kind
@pytest.mark.parametrize("tasks", [(), ("a", "a"), "span"])
def test_tasks_that_are_not_names_are_refused(kind, tasks):
    with pytest.raises(ValueError, match="tasks: want one or more different names"):
        make(kind, tasks)


@every_kind
def test_task_names_may_be_attributes_of_modules(kind):
    names = ("type", "forward", "weights", "training")
    balancer = make(kind, names)
    assert set(balancer.coefficients()) == set(names)
    assert isinstance(balancer, Balancer)


@every_kind
def test_balancers_compile_without_graph_breaks(kind):
    balancer = resolve_balancer({"kind": kind, "non_finite": "pass"}).build(TASKS)
    compiled = torch.compile(balancer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(leaves()), balancer(leaves()))


@every_kind
def test_configurations_survive_json(kind):
    config = resolve_balancer({"kind": kind} | SETTINGS.get(kind, {}))
    assert type(config).model_validate_json(config.model_dump_json()) == config


def trajectory(kind, steps, state=None, optimizer_state=None):
    """Trains the balancer's own parameters on a fixed sequence of losses; a balancer may have none."""
    balancer = make(kind)
    if state is not None:
        balancer.load_state_dict(state)
    parameters = list(balancer.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.01) if parameters else None
    if optimizer and optimizer_state:
        optimizer.load_state_dict(optimizer_state)
    for step in steps:
        balancer.zero_grad()
        balancer.backward(leaves({task: value / (1 + 0.1 * step) for task, value in VALUES.items()}))
        if optimizer:
            optimizer.step()
    return balancer, optimizer.state_dict() if optimizer else None


@every_kind
def test_a_resumed_run_equals_a_straight_one_bitwise(kind):
    straight, _ = trajectory(kind, range(20))
    half, optimizer_state = trajectory(kind, range(10))
    resumed, _ = trajectory(kind, range(10, 20), half.state_dict(), optimizer_state)
    wanted, found = straight.state_dict(), resumed.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@every_kind
def test_the_state_is_tensors_only(kind):
    assert all(isinstance(value, torch.Tensor) for value in make(kind).state_dict().values())


@every_kind
def test_scaled_gradients_are_the_plain_ones_times_the_scale(kind):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    losses = leaves()
    make(kind).backward(losses, scaler=scaler)
    plain = gradients(make(kind), leaves())
    assert {t: loss.grad.item() / 2**16 for t, loss in losses.items()} == pytest.approx(plain)


def test_static_without_weights_is_the_plain_sum():
    torch.testing.assert_close(Static(TASKS)(leaves()), sum(leaves().values()))


def test_static_weights_multiply_the_losses():
    wanted = 2.0 + 3 * 0.01 + 0.5 * 0.7 + 1.5
    assert make("static")(leaves()).item() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Static(TASKS, weights={"type": -1.0}), "weights: want numbers of at least 0"),
        (lambda: Static(TASKS, weights={"price": 1.0}), "weights: want tasks among .*, got 'price'"),
        (lambda: Static(TASKS, weights={"type": math.nan}), "weights: want finite numbers"),
        (lambda: UncertaintyWeighting(TASKS, log_sigma={"price": 1.0}), "log_sigma: want tasks among"),
        (lambda: UncertaintyWeighting(TASKS, log_sigma={"type": math.inf}), "log_sigma: want finite"),
        (lambda: resolve_balancer("weather"), "kind: want one of .*, got 'weather'"),
        (lambda: resolve_balancer(3), "balancer: want a kind or a mapping with a kind, got 3"),
        (lambda: resolve_balancer({"kind": "static", "colour": 1}), "balancer 'static': colour"),
        (lambda: resolve_balancer({"kind": "static", "weights": {"a": -1}}), "balancer 'static': weights.a"),
    ],
)
def test_bad_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_uncertainty_has_one_parameter_a_task():
    assert sum(p.numel() for p in UncertaintyWeighting(TASKS).parameters()) == 4


def test_uncertainty_follows_its_formula_and_its_derivatives():
    balancer = make("uncertainty")
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
    balancer = make("uncertainty")
    balancer.backward(leaves({"type": 2.0}))
    assert balancer.log_sigma.grad.tolist()[1:] == [0.0, 0.0, 0.0]


def offer(tmp_path, monkeypatch, target):
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[moola_losses.balancers]\nstranger = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_another_package_offers_a_balancer(tmp_path, monkeypatch):
    (tmp_path / "stranger_balancers.py").write_text(
        "from typing import Literal\n"
        "from moola_losses.static import StaticConfig\n"
        "class Stranger(StaticConfig):\n"
        "    kind: Literal['stranger'] = 'stranger'\n"
    )
    offer(tmp_path, monkeypatch, "stranger_balancers:Stranger")
    assert resolve_balancer("stranger").build(("a",)).coefficients() == {"a": 1.0}


def test_an_offer_that_is_no_balancer_is_refused(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, "json:dumps")
    with pytest.raises(TypeError, match=r"entry point moola_losses\.balancers:stranger: want a subclass"):
        resolve_balancer("stranger")


def test_importing_the_package_loads_no_solver_and_no_sibling():
    code = "import sys, moola_losses; print([m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"
    strangers = ["scipy", "cvxpy", "pandas", "moola_data", "moola_models", "moola_train", "moola_eval"]
    found = subprocess.run(
        [sys.executable, "-c", code, *strangers],
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert found.stdout.strip() == "[]"
