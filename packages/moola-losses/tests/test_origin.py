"""The origin's schemes do what is known of them, failures included."""

import math

import pytest
import torch

from moola_losses import UncertaintyWeighting, resolve_balancer
from moola_losses.origin_manual import OriginManual
from moola_losses.origin_output_root import OriginOutputRoot
from moola_losses.origin_running_mean import OriginRunningMean
from moola_losses.origin_shared_scale import OriginSharedScale
from moola_losses.origin_z_score import OriginZScore

TASKS = ("type", "pointers", "span", "countdown")


def losses(**values):
    return {task: torch.tensor(v, dtype=torch.float64, requires_grad=True) for task, v in values.items()}


def test_the_normaliser_is_a_cumulative_mean_and_then_a_running_one():
    balancer = OriginRunningMean(("a",), momentum=0.9, warm_up=3)
    values = (5.0, 1.0, 4.0, 2.0, 8.0)
    mean = sum(values[:3]) / 3
    for value in values[3:]:
        mean = 0.9 * mean + 0.1 * value
    for value in values:
        balancer({"a": torch.tensor(value)})
    assert 1 / balancer.coefficients()["a"] == pytest.approx(mean)


def test_the_normalisers_mean_of_a_late_task_hardly_moves():
    balancer = OriginRunningMean(("a", "b"), warm_up=10)
    for _ in range(8):
        balancer(losses(a=1.0))
    balancer(losses(a=1.0, b=10.0))
    balancer(losses(a=1.0, b=1.0))
    # Two losses of b, but the second counts a tenth.
    assert 1 / balancer.coefficients()["b"] == pytest.approx((9 * 10 + 1) / 10)


def test_the_normaliser_leaves_tiny_losses_as_they_are():
    balancer = OriginRunningMean(("a",))
    balancer(losses(a=1e-9))
    assert balancer.coefficients() == {"a": 1.0}


def test_the_normaliser_starves_the_countdown_in_the_encoder():
    weights = dict(zip(TASKS, (0.1, 0.7, 0.1, 0.1), strict=True))
    balancer = OriginRunningMean(TASKS, weights=weights)
    for _ in range(120):
        balancer(losses(type=0.69, pointers=0.0095, span=0.25, countdown=15.93))
    found = balancer.coefficients()
    assert found["pointers"] == pytest.approx(73.7, abs=0.05)
    assert found["pointers"] / found["countdown"] == pytest.approx(0.7 / 0.0095 / (0.1 / 15.93), rel=1e-6)


def test_the_root_of_outputs_multiplies_the_normalised_losses():
    balancer = resolve_balancer("origin_output_root").build(TASKS)
    given = losses(type=0.5, pointers=0.01, span=0.3, countdown=10.0)
    balancer(given).backward()
    found = {task: float(loss.grad * loss.detach()) for task, loss in given.items()}
    roots = {"type": 3, "pointers": 2, "span": 105, "countdown": 105}
    assert found == pytest.approx({task: math.sqrt(n) for task, n in roots.items()}, rel=1e-6)


def test_the_z_score_is_refused_with_its_reason():
    with pytest.raises(ValueError, match="no gradient and nothing is learnt"):
        resolve_balancer("origin_z_score").build(TASKS)


def test_the_forced_z_score_trains_nothing_and_always_adds_up_to_nothing():
    balancer = OriginZScore(("a", "b", "c"), force=True)
    given = losses(a=1.0, b=2.0, c=9.0)
    assert balancer.backward(given).item() == pytest.approx(0.0, abs=1e-12)
    assert all(loss.grad is None for loss in given.values())


@pytest.mark.parametrize(
    ("scheme", "wanted"),
    [("10/70/10/10", (0.1, 0.7, 0.1, 0.1)), ("10/60/10/20", (0.1, 0.6, 0.1, 0.2))],
)
def test_manual_weights_are_the_schemes(scheme, wanted):
    found = resolve_balancer({"kind": "origin_manual", "scheme": scheme}).build(TASKS).coefficients()
    assert found == pytest.approx(dict(zip(TASKS, wanted, strict=True)))


def test_manual_weights_know_no_other_task():
    with pytest.raises(ValueError, match=r"tasks: want names among .*, got .price."):
        OriginManual(("type", "price"))


def test_the_origins_sigmas_are_a_clock():
    """168 windows in batches of 32, Adam at 1e-3: the sigmas it reported after 20, 50 and 100 epochs."""
    balancer = resolve_balancer("origin_uncertainty").build(TASKS)
    assert isinstance(balancer, UncertaintyWeighting)
    optimizer = torch.optim.Adam(balancer.param_groups())
    found = {}
    for step in range(1, 601):
        optimizer.zero_grad()
        balancer(losses(type=0.69, pointers=0.0095, span=0.26, countdown=13.0)).backward()
        optimizer.step()
        if step in (120, 300, 600):
            found[step // 6] = balancer.sigma()["pointers"]
    assert found == pytest.approx({20: 0.657, 50: 0.549, 100: 0.407}, rel=0.02)


def test_the_shared_scale_divides_all_tasks_by_almost_the_same():
    balancer = OriginSharedScale(("pointer", "side", "stop"))
    for _ in range(200):
        balancer(losses(pointer=6.0, side=0.7, stop=0.1))
    found = list(balancer.coefficients().values())
    assert max(found) / min(found) < 1.1


@pytest.mark.parametrize(("size", "wanted"), [(1e6, 1 / 5), (0.0, 1 / 0.5)])
def test_the_shared_scale_is_clamped(size, wanted):
    balancer = OriginSharedScale(("a",))
    for _ in range(2000):
        balancer(losses(a=size))
        size = -size
    assert balancer.coefficients()["a"] == pytest.approx(wanted)


def test_the_shared_scale_leaks_from_evaluation_into_training():
    clean, leaked = (OriginSharedScale(("a", "b")) for _ in range(2))
    leaked.eval()
    leaked(losses(a=50.0, b=50.0))
    leaked.train()
    for balancer in (clean, leaked):
        balancer(losses(a=1.0, b=1.0))
    assert leaked.coefficients()["a"] < 0.5 * clean.coefficients()["a"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: OriginRunningMean(TASKS, momentum=1.0), "momentum: want"),
        (lambda: OriginRunningMean(TASKS, warm_up=-1), "warm_up: want"),
        (lambda: OriginOutputRoot(TASKS, outputs={"type": 0}), "outputs: want"),
        (lambda: OriginSharedScale(TASKS, momentum=-0.1), "momentum: want"),
        (lambda: OriginManual(TASKS, scheme="25/25/25/25"), "scheme: want"),
    ],
)
def test_bad_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
