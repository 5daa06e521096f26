"""What must hold for every method on gradients."""

import copy
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from moola_losses import resolve_balancer

CONFLICT = np.array(
    [
        [1.0, -2.0, 0.5, 0.0, 1.5, -1.0],
        [-1.0, 1.0, 2.0, 0.5, -0.5, 0.0],
        [0.3, 0.2, -0.1, 0.4, 0.0, 0.1],
        [4.0, 1.0, -3.0, 2.0, 0.0, 5.0],
    ]
)
TASKS = ("type", "pointers", "span", "countdown")
LOSSES = (2.0, 0.01, 0.7, 1.5)
KINDS = (
    "pcgrad",
    "gradvac",
    "upgrad",
    "mgda",
    "cagrad",
    "fairgrad",
    "nash",
    "aligned",
    "imtl_g",
    "conflict_free",
    "gradscale",
    "gradnorm",
    "db_mtl",
)
DIRECTIONS = tuple(k for k in KINDS if k not in ("gradscale", "gradnorm", "db_mtl"))
every_kind = pytest.mark.parametrize("kind", KINDS)
every_direction = pytest.mark.parametrize("kind", DIRECTIONS)
"""Those whose first step is a function of the gradients alone."""


def problem(rows, losses=None, tasks=None, dtype=torch.float64):
    """Losses whose gradients are these rows at shared parameters and 3, 4, … at one parameter a task."""
    rows = torch.as_tensor(np.asarray(rows), dtype=dtype)
    tasks = TASKS[: len(rows)] if tasks is None else tasks
    values = LOSSES[: len(rows)] if losses is None else losses
    shared = nn.Parameter(torch.zeros(rows.shape[1], dtype=dtype))
    heads = {t: nn.Parameter(torch.zeros((), dtype=dtype)) for t in tasks}
    found = {
        t: row @ shared + (3 + k) * heads[t] + v
        for k, (t, row, v) in enumerate(zip(tasks, rows, values, strict=True))
    }
    return found, shared, heads


def direction(kind, rows, *, losses=None, tasks=None, dtype=torch.float64, balancer=None, **settings):
    found, shared, _ = problem(rows, losses, tasks, dtype)
    made = resolve_balancer({"kind": kind} | settings).build(tuple(found)) if balancer is None else balancer
    made.backward(found, shared=[shared])
    return shared.grad.numpy()


def test_gradnorm_learns_by_the_slope_of_its_objective():
    """Without a second backward pass: the slope of Σ |w n - wanted| by finite differences."""
    norms, rate = np.array([1.0, 0.02, 0.3, 2.0]), 1e-3
    balancer = resolve_balancer({"kind": "gradnorm", "learning_rate": rate, "alpha": 0.5}).build(TASKS)
    direction("gradnorm", np.diag(norms), balancer=balancer)
    before = np.array(list(balancer.by_task(balancer.weights).values()))
    losses = np.array([1.0, 0.009, 0.6, 1.0])
    pace = losses / np.array(LOSSES)
    wanted = (before * norms).mean() * (pace / pace.mean()) ** 0.5

    def objective(weights):
        return np.abs(weights * norms - wanted).sum()

    nudges = 1e-6 * np.eye(4)
    slope = np.array([(objective(before + n) - objective(before - n)) / 2e-6 for n in nudges])
    direction("gradnorm", np.diag(norms), losses=losses, balancer=balancer)
    moved = before - rate * slope
    np.testing.assert_allclose(
        list(balancer.by_task(balancer.weights).values()), moved / moved.mean(), rtol=1e-9
    )


def test_gradscale_gives_every_task_its_share_of_the_pull():
    rows = CONFLICT * np.array([[1.0], [1e-4], [10.0], [0.05]])
    balancer = resolve_balancer({"kind": "gradscale", "preferences": {"span": 3.0}}).build(TASKS)
    direction("gradscale", rows, balancer=balancer)
    pulls = np.array(list(balancer.coefficients().values())) * np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(pulls / pulls[0], [1, 1, 3, 1])


def test_gradscale_remembers_norms_without_bias():
    balancer = resolve_balancer({"kind": "gradscale", "beta": 0.5}).build(("a", "b"))
    for size in (1.0, 4.0):
        direction("gradscale", [[size, 0.0], [0.0, 1.0]], tasks=("a", "b"), balancer=balancer)
    mean = (0.5 * 1 + 4) / (0.5 + 1)
    found = balancer.coefficients()
    assert found["b"] / found["a"] == pytest.approx(mean)


@every_direction
def test_directions_grow_with_the_gradients(kind):
    """Every method's direction is c to some power times that of gradients times c, over 24 powers of ten."""
    power = {"nash": 0.0, "fairgrad": -1 / 3}.get(kind, 1.0)
    wanted = direction(kind, CONFLICT)
    for factor in (1e-12, 1e-6, 1e6, 1e12):
        found = direction(kind, CONFLICT * factor) / factor**power
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-7 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["nash", "conflict_free"])
def test_some_directions_feel_no_tasks_scale(kind):
    wanted = direction(kind, CONFLICT)
    found = direction(kind, CONFLICT * np.array([[1.0], [1e-3], [1e3], [0.05]]))
    np.testing.assert_allclose(
        found / np.linalg.norm(found), wanted / np.linalg.norm(wanted), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("kind", ["upgrad", "mgda"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_conflict_even_where_norms_differ_a_million_times(kind, dtype):
    random = np.random.default_rng(0)
    for _ in range(60):
        rows = random.normal(size=(4, 12)) * 10.0 ** random.permutation([-3.0, -1.0, 1.0, 3.0])[:, None]
        found = direction(kind, rows, dtype=dtype).astype(float)
        cosines = rows @ found / np.linalg.norm(rows, axis=1) / np.linalg.norm(found)
        assert cosines.min() >= -1e-6


@every_kind
def test_the_order_of_tasks_does_not_matter(kind):
    wanted = direction(kind, CONFLICT)
    for order in itertools.islice(itertools.permutations(range(4)), 1, 24, 5):
        names = [TASKS[k] for k in order]
        values = [LOSSES[k] for k in order]
        found = direction(kind, CONFLICT[list(order)], losses=values, tasks=names)
        np.testing.assert_array_equal(found, wanted)


@every_kind
@pytest.mark.parametrize("left_out", ["missing", "none", "zero"])
def test_an_absent_task_is_a_dropped_task(kind, left_out):
    kept = [0, 1, 3]
    found, shared, heads = problem(CONFLICT)
    if left_out == "zero":
        found["span"] = 0 * shared.sum() + 5 * heads["span"] + 0.7
    else:
        found = {t: None if t == "span" else v for t, v in found.items() if t != "span" or left_out == "none"}
    made = resolve_balancer({"kind": kind}).build(TASKS)
    made.backward(found, shared=[shared])
    names = [TASKS[k] for k in kept]
    wanted = direction(kind, CONFLICT[kept], losses=[LOSSES[k] for k in kept], tasks=names)
    np.testing.assert_allclose(shared.grad.numpy(), wanted, rtol=1e-12, atol=1e-15)
    assert (heads["span"].grad is None) == (left_out != "zero")


@every_kind
def test_one_task_has_its_plain_gradient(kind):
    found = direction(kind, CONFLICT[:1], losses=[1.0])
    np.testing.assert_allclose(found, CONFLICT[0], rtol=1e-12)


@pytest.mark.parametrize("kind", ["mgda", "imtl_g", "conflict_free"])
def test_a_duplicated_task_does_not_turn_the_direction(kind):
    wanted = direction(kind, CONFLICT)
    tasks = (*TASKS, "again")
    found = direction(kind, [*CONFLICT, CONFLICT[1]], losses=(*LOSSES, LOSSES[1]), tasks=tasks)
    found, wanted = found / np.linalg.norm(found), wanted / np.linalg.norm(wanted)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["upgrad", "nash", "fairgrad"])
def test_a_duplicated_task_counts_twice(kind):
    tasks = (*TASKS, "again")
    found = direction(kind, [*CONFLICT, CONFLICT[1]], losses=(*LOSSES, LOSSES[1]), tasks=tasks)
    # Two equal tasks with weight w/2 each are one of weight w: (Mw)^alpha = p/w with p = 2^alpha.
    twice = {"upgrad": 2.0, "nash": 2.0, "fairgrad": 2.0}[kind]
    wanted = direction(kind, CONFLICT, preferences={TASKS[1]: twice})
    found, wanted = found / np.linalg.norm(found), wanted / np.linalg.norm(wanted)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_pcgrad_of_agreeing_gradients_is_their_sum():
    rows = np.abs(CONFLICT)
    np.testing.assert_allclose(direction("pcgrad", rows), rows.sum(0), rtol=1e-12)


def test_pcgrad_draws_another_order_at_each_step_and_seed():
    balancer = resolve_balancer("pcgrad").build(TASKS)
    steps = [tuple(direction("pcgrad", CONFLICT, balancer=balancer)) for _ in range(6)]
    seeds = [tuple(direction("pcgrad", CONFLICT, seed=s)) for s in range(6)]
    assert len(set(steps)) > 1
    assert len(set(seeds)) > 1


def test_balancers_leave_the_random_generators_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for kind in KINDS:
        direction(kind, CONFLICT)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "kind", ["pcgrad", "upgrad", "mgda", "cagrad", "nash", "imtl_g", "gradscale", "db_mtl"]
)
def test_a_preferred_task_gains_more(kind):
    """Compared by what each task gains beside the others, since some methods' length changes too."""
    rows = CONFLICT if kind != "mgda" else np.eye(4)

    def share(**settings):
        gains = rows @ direction(kind, rows, **settings)
        return gains[2] / np.abs(gains).sum()

    assert share(preferences={"span": 4.0}) > share() * 1.05


@every_kind
def test_a_zero_gradient_may_be_kept_out_of_the_weights_but_its_head_learns(kind):
    found, shared, heads = problem(CONFLICT)
    found["span"] = 5 * heads["span"] + 0.7
    resolve_balancer({"kind": kind}).build(TASKS).backward(found, shared=[shared])
    assert np.isfinite(shared.grad.numpy()).all()
    assert heads["span"].grad.abs() > 0


@every_kind
def test_all_gradients_zero_is_no_step(kind):
    found, shared, _ = problem(np.zeros((4, 6)))
    resolve_balancer({"kind": kind}).build(TASKS).backward(found, shared=[shared])
    assert not shared.grad.any()


@every_kind
def test_a_gradient_that_is_not_finite_is_named(kind):
    found, shared, _ = problem(CONFLICT)
    found["span"] = found["span"] + (shared[0] * 0).sqrt()
    with pytest.raises(ValueError, match="losses: want finite gradients, got one that is not for 'span'"):
        resolve_balancer({"kind": kind}).build(TASKS).backward(found, shared=[shared])


@every_kind
def test_a_gradient_that_is_not_finite_passes_if_asked(kind):
    found, shared, _ = problem(CONFLICT)
    found["span"] = found["span"] + (shared[0] * 0).sqrt()
    balancer = resolve_balancer({"kind": kind, "non_finite": "pass"}).build(TASKS)
    state = {name: value.clone() for name, value in balancer.state_dict().items()}
    balancer.backward(found, shared=[shared])
    assert not shared.grad.isfinite().all()
    for name, value in balancer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name].numpy())


@pytest.mark.parametrize("kind", ["gradnorm", "db_mtl"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_losses_below_their_floor_are_named_where_they_matter(kind, value):
    with pytest.raises(ValueError, match=r"losses: want .*'span'"):
        direction(kind, CONFLICT, losses=(2.0, 0.01, value, 1.5))


@every_direction
def test_negative_and_zero_losses_change_no_direction(kind):
    np.testing.assert_array_equal(
        direction(kind, CONFLICT, losses=(-1.0, 0.0, 2.0, -3.0)), direction(kind, CONFLICT)
    )


def test_floors_are_taken_off_before_the_logarithm():
    raised = direction("db_mtl", CONFLICT, losses=(2.5, 0.01, 0.7, 1.5), floors={"type": 0.5})
    np.testing.assert_allclose(raised, direction("db_mtl", CONFLICT), rtol=1e-6)


def test_db_mtl_does_not_feel_a_losss_unit():
    units = np.array([1.0, 1e3, 1e-2, 7.0])
    found = direction("db_mtl", CONFLICT * units[:, None], losses=np.array(LOSSES) * units)
    np.testing.assert_allclose(found, direction("db_mtl", CONFLICT), rtol=1e-9)


@every_kind
def test_a_call_is_refused_with_what_to_do(kind):
    with pytest.raises(NotImplementedError, match=r"want backward\(losses, shared=\.\.\.\)"):
        resolve_balancer({"kind": kind}).build(TASKS)(problem(CONFLICT)[0])


@every_kind
def test_coefficients_are_nan_until_the_first_step(kind):
    balancer = resolve_balancer({"kind": kind}).build(TASKS)
    assert all(math.isnan(v) for v in balancer.coefficients().values())
    direction(kind, CONFLICT, balancer=balancer)
    assert not any(math.isnan(v) for v in balancer.coefficients().values())


@every_kind
def test_evaluation_mode_learns_nothing(kind):
    balancer = resolve_balancer({"kind": kind}).build(TASKS).eval()
    state = {name: value.clone() for name, value in balancer.state_dict().items()}
    direction(kind, CONFLICT, balancer=balancer)
    for name, value in balancer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name].numpy())


def walk(balancer, steps, start):
    """Trains parameters on losses of their own at each step; returns where they end."""
    shared = nn.Parameter(start.clone())
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        rows = torch.randn(4, 6, generator=generator, dtype=torch.float64)
        shared.grad = None
        losses = {t: (rows[k] @ shared).square() + 0.1 + 0.1 * k for k, t in enumerate(TASKS)}
        if step % 3 == 1:
            del losses["span"]
        balancer.backward(losses, shared=[shared])
        with torch.no_grad():
            shared -= 1e-3 * shared.grad
    return shared.detach()


STATEFUL = [{"kind": k} for k in KINDS] + [
    {"kind": "db_mtl", "memory": "gradients"},
    {"kind": "every", "n": 4, "inner": {"kind": "pcgrad"}},
]


@pytest.mark.parametrize("settings", STATEFUL, ids=lambda s: "-".join(str(v) for v in s.values()))
def test_a_resumed_balancer_equals_a_straight_one_bitwise(settings):
    """The state is loaded into a balancer that has not been called yet."""
    build = resolve_balancer(settings).build
    straight, half, resumed = build(TASKS), build(TASKS), build(TASKS)
    start = torch.linspace(-1, 1, 6, dtype=torch.float64)
    wanted = walk(straight, range(20), start)
    middle = walk(half, range(10), start)
    resumed.load_state_dict(half.state_dict())
    np.testing.assert_array_equal(walk(resumed, range(10, 20), middle), wanted)
    for name, value in straight.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), resumed.state_dict()[name].numpy())


@pytest.mark.slow
def test_a_new_process_resumes_bitwise(tmp_path):
    start, middles, wanted = torch.linspace(-1, 1, 6, dtype=torch.float64), [], []
    for settings in STATEFUL:
        balancer = resolve_balancer(settings).build(TASKS)
        middle = walk(balancer, range(10), start)
        middles.append((middle, copy.deepcopy(balancer.state_dict())))
        wanted.append(walk(balancer, range(10, 20), middle))
    torch.save(middles, tmp_path / "middles.pt")
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); import test_gradient_balancers as t\n"
        "ends = []\n"
        "middles = torch.load(sys.argv[2] + '/middles.pt')\n"
        "for settings, (middle, state) in zip(t.STATEFUL, middles, strict=True):\n"
        "    balancer = t.resolve_balancer(settings).build(t.TASKS)\n"
        "    balancer.load_state_dict(state)\n"
        "    ends.append(t.walk(balancer, range(10, 20), middle))\n"
        "torch.save(ends, sys.argv[2] + '/ends.pt')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)], check=True)
    for found, end in zip(torch.load(tmp_path / "ends.pt"), wanted, strict=True):
        np.testing.assert_array_equal(found, end)


@pytest.mark.parametrize("settings", STATEFUL, ids=lambda s: "-".join(str(v) for v in s.values()))
def test_configurations_survive_json(settings):
    config = resolve_balancer(settings)
    assert type(config).model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "every", "n": 0}, "n: .*greater than or equal to 1"),
        ({"kind": "every", "inner": {"kind": "weather"}}, "want one of"),
        ({"kind": "cagrad", "c": 1.0}, "c: "),
        ({"kind": "fairgrad", "alpha": 0.0}, "alpha: "),
        ({"kind": "gradscale", "beta": 1.0}, "beta: "),
        ({"kind": "pcgrad", "order": "best"}, "order: "),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        resolve_balancer(settings)


def test_every_wants_a_method_on_gradients():
    with pytest.raises(ValueError, match="inner: want a method on gradients, got 'static'"):
        resolve_balancer({"kind": "every", "inner": "static"}).build(TASKS)
