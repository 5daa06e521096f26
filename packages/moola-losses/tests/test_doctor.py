"""The doctor: convicts what is wrong, is silent where nothing is, and leaves no trace."""

import math

import pytest
import torch
from torch import nn

from moola_losses import BarBCE, CrossEntropy, Huber, UnitHuber
from moola_losses.doctor import Doctor

BARS = 50


class Toy(nn.Module):
    """A shared layer and three heads of comparable weight: a class, two numbers, a mark for every bar."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Dropout(0.1))
        self.heads = nn.ModuleDict(
            {
                "kind": nn.Linear(24, 3),
                "place": nn.Linear(24, 2),
                "bars": nn.Linear(24, BARS),
            }
        )

    def forward(self, x):
        z = self.trunk(x)
        return z, {task: head(z) for task, head in self.heads.items()}


TOY_LOSSES = {"kind": CrossEntropy(), "place": UnitHuber(), "bars": BarBCE()}


def learnable(n, generator):
    """Targets that a linear map of the inputs decides, each its own, and as steep for every head."""
    x = torch.randn(n, 8, generator=generator)
    kind, place, bars = (torch.randn(8, out, generator=generator) for out in (3, 2, BARS))
    return x, {
        "kind": (x @ kind).argmax(1),
        "place": (x @ place) / 2,
        "bars": (x @ bars > 0).float(),
    }


def value(loss, *arguments):
    total = loss(*arguments)
    return total.total / total.weight


def train(*, seed=0, steps=120, net=None, losses=TOY_LOSSES, doctor="all", every=10, soft=0.0, **known):
    """Trains the toy under the doctor's eyes and returns the network and the doctor."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = net or Toy()
    x, targets = learnable(512, generator)
    targets["bars"] = targets["bars"] * (1 - 2 * soft) + soft
    ones = torch.ones(512)
    constants = {
        task: float(value(loss.constant, targets[task], ones > 0, ones)) for task, loss in losses.items()
    }
    floors = {task: float(value(loss.floor, targets[task], ones > 0, ones)) for task, loss in losses.items()}
    watcher = Doctor(tuple(losses), every=every, losses=losses, floors=floors, constants=constants, **known)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = torch.randint(512, (64,), generator=generator)
        z, outputs = net(x[batch])
        found = {
            task: value(loss, outputs[task], targets[task][batch], ones[:64] > 0, ones[:64])
            for task, loss in losses.items()
        }
        if doctor == "all":
            watcher.observe(
                found,
                shared=net.trunk.parameters(),
                heads={task: head.parameters() for task, head in net.heads.items()},
                outputs=outputs,
            )
        elif doctor == "representation":
            watcher.observe(found, representation=z, outputs=outputs)
        optimiser.zero_grad()
        sum(found.values()).backward()
        optimiser.step()
    return net, watcher


def faults(report, task):
    return [verdict.fault for verdict in report.of(task)]


@pytest.mark.parametrize("seed", range(20))
def test_a_balanced_toy_is_acquitted(seed):
    report = train(seed=seed)[1].report()
    assert report.verdicts == (), str(report)
    assert report.prescription.weights == {}
    assert report.prescription.balancer is None


def convicted(report, fault, task):
    """The only verdict of its kind; its number is beyond its threshold and both stand in the table."""
    (verdict,) = (v for v in report.verdicts if v.fault == fault)
    assert verdict.task == task
    assert f"{fault} ({verdict.measured:.3g}, threshold {verdict.threshold:.3g})" in str(report)
    return verdict


@pytest.mark.parametrize("known", [True, False], ids=["loss known", "loss unknown"])
def test_a_sum_among_means_is_convicted(known):
    summed = TOY_LOSSES | {"bars": BarBCE(reduction="window_sum")}
    _, doctor = train(losses=summed)
    if not known:
        doctor._losses = {}
    report = doctor.report()
    verdict = convicted(report, "reduction", "bars")
    assert verdict.measured > 3 * verdict.threshold or not known
    assert verdict.measured == pytest.approx(report.tasks["bars"].slope_mass)
    assert any("divide by the number of elements" in fix for fix in report.prescription.fixes)
    assert report.prescription.weights["bars"] < min(
        report.prescription.weights["kind"], report.prescription.weights["place"]
    )


@pytest.mark.parametrize("known", [True, False], ids=["loss known", "loss unknown"])
def test_a_capped_slope_is_convicted(known):
    _, doctor = train(losses=TOY_LOSSES | {"place": Huber(delta=0.02)})
    if not known:
        doctor._losses = {}
    report = doctor.report()
    verdict = convicted(report, "slope_cap", "place")
    assert verdict.measured == pytest.approx(0.02, rel=1e-3)
    assert "starved" in faults(report, "place")
    assert (
        report.prescription.fixes[0] == "place: use UnitHuber, whose slope is capped at 1 whatever its delta"
    )
    assert report.prescription.weights["place"] > 3


def test_an_entropy_floor_is_convicted():
    report = train(soft=0.2)[1].report()
    verdict = convicted(report, "entropy_floor", "bars")
    entropy = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    assert report.tasks["bars"].floor == pytest.approx(entropy, rel=1e-5)
    assert verdict.measured == pytest.approx(entropy / report.tasks["bars"].loss, rel=0.02)
    assert 0.5 < verdict.measured < 1
    assert any("subtract the floor" in fix for fix in report.prescription.fixes)


def test_a_dead_head_is_convicted():
    net = Toy()
    net.heads["place"] = nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 2))
    nn.init.constant_(net.heads["place"][0].bias, -1e3)
    report = train(net=net)[1].report()
    assert convicted(report, "dead", "place").measured == 0
    assert report.tasks["place"].idle_head == 0.75  # only the last bias still learns
    assert "place" not in report.prescription.weights


def test_a_true_conflict_is_convicted():
    torch.manual_seed(0)
    trunk, readout = nn.Sequential(nn.Linear(8, 24), nn.Tanh()), nn.Linear(24, 2).requires_grad_(False)
    x = torch.randn(256, 8)
    wish = (x @ torch.randn(8, 2)).tanh()
    doctor = Doctor(("up", "down"), every=10)
    optimiser = torch.optim.Adam(trunk.parameters(), lr=3e-3)
    for _ in range(100):
        output = readout(trunk(x))
        losses = {"up": (output - wish).square().mean(), "down": (output + wish).square().mean()}
        doctor.observe(losses, shared=trunk.parameters())
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    report = doctor.report()
    verdict = convicted(report, "conflict", "up")
    assert verdict.other == "down"
    assert verdict.measured < -0.5
    assert report.prescription.balancer == "upgrad"


def test_a_task_that_the_updates_harm_is_convicted():
    shared = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.SGD([shared], lr=0.01)
    doctor = Doctor(("strong", "weak"), every=1)
    for _ in range(8):
        losses = {"strong": 3 * shared[0], "weak": -shared[0] + 0.5 * shared[1]}
        doctor.observe(losses, shared=[shared])
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    verdict = convicted(doctor.report(), "harmed", "weak")
    # The update is -0.01 (2, 0.5); the weak loss's gradient (-1, 0.5).
    assert verdict.measured == pytest.approx(-(2 - 0.25) / math.sqrt(1.25 * 4.25), rel=1e-4)
    assert doctor.report().tasks["weak"].change == pytest.approx(0.0175, rel=1e-4)


def test_a_loss_that_is_not_finite_is_convicted_by_name():
    shared, losses, doctor = two()
    doctor.observe(losses, shared=[shared])
    doctor.observe(losses | {"a": losses["a"] * math.nan}, shared=[shared])
    report = doctor.report()
    verdict = convicted(report, "not_finite", "a")
    assert (verdict.measured, verdict.threshold) == (1, 0)
    assert report.tasks["a"].gradient_norm == pytest.approx(5)


@pytest.mark.parametrize("mode", ["all", "representation"])
def test_a_watched_run_is_bitwise_the_run_without_a_doctor(mode):
    watched, _ = train(steps=25, doctor=mode, every=1)
    after = torch.rand(3)
    alone, _ = train(steps=25, doctor="none")
    assert torch.equal(after, torch.rand(3))
    for name, parameter in alone.state_dict().items():
        assert torch.equal(parameter, watched.state_dict()[name]), name


def test_gradients_stay_as_they_are():
    net = Toy()
    x, _ = learnable(16, torch.Generator().manual_seed(0))
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    net.heads["kind"].weight.grad = None
    _, outputs = net(x)
    losses = {task: output.square().mean() for task, output in outputs.items()}
    doctor = Doctor(tuple(losses), every=1)
    heads = {task: head.parameters() for task, head in net.heads.items()}
    doctor.observe(losses, shared=net.trunk.parameters(), heads=heads, outputs=outputs)
    assert net.heads["kind"].weight.grad is None
    assert all(
        torch.equal(p.grad, torch.ones_like(p)) for n, p in net.named_parameters() if n != "heads.kind.weight"
    )
    sum(losses.values()).backward()  # the graph is still there


def two(scale=1.0, *, every=1, **known):
    """Two losses with known gradients at a shared vector."""
    shared = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = {"a": 3 * shared[0] + 4 * shared[1], "b": scale * shared[0]}
    return shared, losses, Doctor(("a", "b"), every=every, **known)


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_the_harm_is_that_of_the_update_that_was_made(optimiser):
    shared, losses, doctor = two(scale=-1.0, every=2)
    step = optimiser([shared], lr=0.1)
    doctor.observe(losses, shared=[shared])
    before = shared.detach().clone()
    losses["a"].backward()
    doctor.observe(losses, shared=[shared])  # gradients still add up: no update yet
    step.step()
    report = doctor.report()
    update = shared.detach() - before
    wanted = {"a": float(3 * update[0] + 4 * update[1]), "b": float(-update[0])}
    for task, change in wanted.items():
        assert report.tasks[task].change == pytest.approx(change, rel=1e-5)
    assert report.tasks["a"].update_cosine == pytest.approx(
        -wanted["a"] / (5 * float(update.norm())), rel=1e-5
    )
    assert report.tasks["b"].update_cosine < 0 < report.tasks["a"].update_cosine


def test_losses_compiled_as_one_graph_are_measured_alike():
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 8), nn.ModuleDict({"a": nn.Linear(8, 1), "b": nn.Linear(8, 2)})
    x = torch.randn(5, 4)

    def losses(x):
        z = trunk(x).tanh()
        return {task: head(z).square().mean() for task, head in heads.items()}

    reports = []
    for call in (losses, torch.compile(losses, backend="aot_eager")):
        doctor = Doctor(("a", "b"), every=1)
        found = call(x)
        doctor.observe(found, shared=trunk.parameters())
        sum(found.values()).backward()
        reports.append(doctor.report())
    assert reports[1].norm_ratio == pytest.approx(reports[0].norm_ratio, rel=1e-5)
    assert reports[1].pairs[0].cosine == pytest.approx(reports[0].pairs[0].cosine, abs=1e-6)


def test_signal_to_noise_is_that_of_the_gradients():
    generator = torch.Generator().manual_seed(0)
    shared = torch.zeros(400, requires_grad=True)
    mean = torch.full((400,), 0.5)
    doctor = Doctor(("a", "b"), every=1, window=400)
    for _ in range(400):
        noise = torch.randn(400, generator=generator)
        doctor.observe({"a": (mean + noise) @ shared, "b": noise @ shared}, shared=[shared])
    report = doctor.report()
    # The mean has squared length 100, the noise a variance of 400 in all.
    assert report.tasks["a"].signal_to_noise == pytest.approx(0.25, rel=0.05)
    assert report.tasks["b"].signal_to_noise < 0.01


def test_prescribed_weights_make_gradients_as_long_as_preferred():
    shared, losses, doctor = two(scale=1e-3, preferences={"b": 2.0})
    doctor.observe(losses, shared=[shared])
    weights = doctor.report().prescription.weights
    assert weights["b"] * 1e-3 == pytest.approx(2 * weights["a"] * 5) or max(weights.values()) == 100
    assert weights["a"] * weights["b"] == pytest.approx(1)


def test_prescribed_weights_are_limited():
    shared, losses, doctor = two(scale=1e-9)
    doctor.observe(losses, shared=[shared])
    assert doctor.report().prescription.weights == {"a": 0.01, "b": 100.0}


def test_a_solved_task_is_not_starved():
    shared, losses, doctor = two(scale=1e-3, constants={"b": 1.0})
    doctor.observe(losses, shared=[shared])
    assert faults(doctor.report(), "b") == []


def test_losses_and_constants_of_zero_and_negative_coefficients_are_no_trouble():
    shared = torch.zeros(2, requires_grad=True)
    doctor = Doctor(("a", "b"), every=1, constants={"a": 0.0, "b": 1.0})
    doctor.observe({"a": shared[0], "b": shared[1]}, shared=[shared], coefficients={"a": -2.0})
    report = doctor.report()
    assert report.verdicts == ()
    assert (report.tasks["a"].coefficient, report.norm_ratio) == (pytest.approx(2), pytest.approx(2))
    assert math.isnan(report.tasks["a"].against_constant)
    assert report.tasks["b"].against_constant == 0


def test_an_absent_task_leaves_the_others_alone():
    shared, losses, doctor = two()
    doctor.observe({"a": losses["a"], "b": None}, shared=[shared])
    report = doctor.report()
    assert math.isnan(report.tasks["b"].gradient_norm)
    assert report.tasks["a"].gradient_norm == pytest.approx(5)
    assert report.verdicts == ()


def test_only_every_nth_step_is_measured_and_a_window_kept():
    shared, losses, doctor = two(every=3, window=2)
    measured = [doctor.observe(losses, shared=[shared]) for _ in range(8)]
    assert measured == [True, False, False, True, False, False, True, False]
    report = doctor.report()
    assert (report.observations, report.first_step, report.last_step) == (2, 3, 6)
    doctor.reset()
    with pytest.raises(RuntimeError, match="want a measured step"):
        doctor.report()


def test_the_representation_gives_norms_and_no_cosines():
    _, doctor = train(steps=30, doctor="representation")
    report = doctor.report()
    assert report.place == "representation"
    assert all(task.gradient_norm > 0 for task in report.tasks.values())
    assert all(math.isnan(pair.cosine) for pair in report.pairs)
