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
    "unit": {"norms": {"type": 1.0, "pointers": 0.02, "span": 0.3, "countdown": 2.0}},
    "famo": {"refresh": "next_batch"},
    "origin_z_score": {"force": True},
}


def config_of(kind, **extra):
    return resolve_balancer({"kind": kind} | SETTINGS.get(kind, {}) | extra)


def make(kind, tasks=TASKS, **extra):
    config = config_of(kind, **extra)
    by_task = {n: {t: x for t, x in v.items() if t in tasks} for n, v in config if isinstance(v, dict)}
    return config.model_copy(update=by_task).build(tasks)


CLAIMS = {kind: make(kind).claims for kind in BUILT_IN}
SCALAR = sorted(kind for kind, claims in CLAIMS.items() if claims.scalar and claims.gradient)
every_kind = pytest.mark.parametrize("kind", sorted(BUILT_IN))
every_scalar = pytest.mark.parametrize("kind", SCALAR)


def leaves(values=VALUES):
    return {
        task: torch.tensor(value, dtype=torch.float64, requires_grad=True) for task, value in values.items()
    }


def gradients(balancer, losses):
    balancer.zero_grad()
    balancer.backward(losses)
    return {task: loss.grad.item() for task, loss in losses.items()}


@every_scalar
def test_coefficients_are_the_gradients_that_the_losses_get(kind):
    balancer = make(kind)
    assert gradients(balancer, leaves()) == pytest.approx(balancer.coefficients())


@every_scalar
def test_preferences_multiply_coefficients(kind):
    wanted = gradients(make(kind), leaves())
    found = gradients(make(kind, preferences={"span": 2.0}), leaves())
    ratio = {task: found[task] / wanted[task] for task in TASKS}
    if kind == "stch":  # there they are inside the exponent too
        assert ratio["span"] > ratio["type"] > 0
    else:
        assert ratio["span"] / ratio["type"] == pytest.approx(2.0)
        assert ratio["countdown"] / ratio["type"] == pytest.approx(1.0)


@every_scalar
def test_a_floor_is_a_loss_without_it(kind):
    wanted = gradients(make(kind), leaves(VALUES | {"span": 0.2}))
    found = gradients(make(kind, floors={"span": 0.5}), leaves())
    assert found == pytest.approx(wanted, rel=1e-6)


@every_scalar
def test_backward_returns_the_total_detached(kind):
    total = make(kind).backward(leaves())
    assert not total.requires_grad
    torch.testing.assert_close(total, make(kind)(leaves()).detach())


@every_scalar
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named(kind, bad):
    with pytest.raises(ValueError, match=f"losses: want finite numbers, got {bad} for 'span'"):
        make(kind)(leaves(VALUES | {"span": bad}))


@every_scalar
def test_a_loss_that_is_not_finite_passes_if_asked(kind):
    assert make(kind, non_finite="pass")(leaves(VALUES | {"span": math.nan})).isnan()


@every_scalar
@pytest.mark.parametrize("low", [0.0, -0.1])
def test_a_loss_at_or_below_its_floor_is_named_lifted_or_weighted(kind, low):
    losses = leaves(VALUES | {"span": low})
    if not CLAIMS[kind].positive:
        assert all(math.isfinite(g) for g in gradients(make(kind), losses).values())
        return
    with pytest.raises(ValueError, match=f"want more than the floor 0, got {low:g} for 'span'"):
        make(kind)(losses)
    found = gradients(make(kind, least=0.25), losses)
    assert found == pytest.approx(gradients(make(kind), leaves(VALUES | {"span": 0.25, "pointers": 0.25})))


@every_scalar
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


@pytest.mark.parametrize("kind", sorted(kind for kind in BUILT_IN if CLAIMS[kind].names is None))
def test_task_names_may_be_attributes_of_modules(kind):
    names = ("type", "forward", "weights", "training")
    balancer = (
        resolve_balancer({"kind": kind, "force": True})
        if kind == "origin_z_score"
        else resolve_balancer(kind)
    ).build(names)
    assert set(balancer.coefficients()) == set(names)
    assert isinstance(balancer, Balancer)


@pytest.mark.parametrize("kind", sorted(BUILT_IN.keys() - {"every"}))  # it has an inner one's
@pytest.mark.parametrize("bad", [{"price": 1.0}, {"type": math.inf}])
@pytest.mark.parametrize("name", ["floors", "preferences"])
def test_floors_and_preferences_that_do_not_fit_are_refused(kind, name, bad):
    with pytest.raises(ValueError, match=name):
        config_of(kind, **{name: bad}).build(TASKS)


@every_kind
def test_preferences_are_above_zero(kind):
    with pytest.raises(ValueError, match="preferences"):
        config_of(kind, preferences={"type": 0.0})


@every_scalar
def test_balancers_compile_without_graph_breaks(kind):
    torch.compiler.reset()  # torch counts the recompilations of one line of code, whatever module it is of
    losses = leaves()
    compiled = torch.compile(make(kind, non_finite="pass"), fullgraph=True, backend="aot_eager")
    compiled(losses).backward()
    found = {task: loss.grad.item() for task, loss in losses.items()}
    assert found == pytest.approx(gradients(make(kind), leaves()), rel=1e-6)


@every_scalar
def test_evaluation_mode_leaves_the_state_alone(kind):
    if kind == "origin_shared_scale":  # its failure
        return
    balancer = make(kind)
    balancer(leaves())
    before = {name: value.clone() for name, value in balancer.state_dict().items()}
    balancer.eval()
    balancer(leaves({task: 3 * value for task, value in VALUES.items()}))
    for name, value in balancer.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_weights_of_one_are_the_plain_sum_on_a_network():
    def step(use):
        torch.manual_seed(0)
        encoder, heads = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 4)
        out = heads(encoder(torch.randn(3, 7, 5))[0]).square().mean((0, 1))
        use(dict(zip(TASKS, out.unbind(), strict=True)))
        return [p.grad for p in [*encoder.parameters(), *heads.parameters()]]

    wanted = step(lambda losses: sum(losses.values()).backward())
    found = step(Static(TASKS).backward)
    assert max(float((a - b).abs().max()) for a, b in zip(wanted, found, strict=True)) <= 1e-8


# torch's compiler looks at `.grad` of what it is given.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_heads_go_with_every_weighting_in_one_walk_back():
    torch.compiler.reset()
    torch.manual_seed(0)
    encoder, heads = nn.Linear(5, 8), nn.Linear(8, 4)

    def losses(z):
        return heads(z).square().mean(0)

    compiled = torch.compile(losses, fullgraph=True, backend="aot_eager")
    x = torch.randn(6, 5)
    for kind in SCALAR:
        found = []
        for use in (losses, compiled):
            encoder.zero_grad()
            make(kind).backward(dict(zip(TASKS, use(encoder(x)).unbind(), strict=True)))
            found.append(encoder.weight.grad.clone())
        torch.testing.assert_close(found[0], found[1])


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
