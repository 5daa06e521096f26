"""What each weighting does that the others do not."""

import math
from statistics import NormalDist

import pytest
import torch
from torch import nn

from moola_losses.draws import keys, normals
from moola_losses.dwa import DynamicWeightAverage
from moola_losses.ema_loss import EMALoss
from moola_losses.famo import FAMO
from moola_losses.gls import GeometricLoss
from moola_losses.imtl_l import IMTLL
from moola_losses.initial_loss import InitialLoss
from moola_losses.log_sum import LogSum
from moola_losses.loss_mean import LossMean, prenormaliser
from moola_losses.rlw import RandomWeights
from moola_losses.stch import SmoothTchebycheff
from moola_losses.unit import Unit
from moola_losses.uw_so import SoftUncertainty

NAN = math.nan


def weights(balancer, **losses):
    balancer({task: torch.tensor(loss, dtype=torch.float64) for task, loss in losses.items()})
    return balancer.coefficients()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_a_running_mean_of_equal_losses_is_that_loss_from_the_start(momentum):
    mean = LossMean(1, momentum=momentum)
    for _ in range(5):
        assert mean.after([0], torch.tensor([3.0])).item() == pytest.approx(3.0)


def test_a_running_mean_is_the_sum_by_age():
    mean, values = LossMean(1, momentum=0.8), [3.0, 1.0, 7.0, 2.0]
    for value in values:
        found = mean.after([0], torch.tensor([value])).item()
    by_age = [0.8**age for age in range(4)][::-1]
    assert found == pytest.approx(sum(w * v for w, v in zip(by_age, values, strict=True)) / sum(by_age))


def test_a_first_mean_stops_after_its_losses():
    mean = LossMean(1, momentum=None, first=2)
    found = [mean.after([0], torch.tensor([v])).item() for v in (4.0, 2.0, 100.0)]
    assert found == [4.0, 3.0, 3.0]


def test_a_mean_counts_each_tasks_own_losses_only():
    mean = LossMean(2, momentum=None, first=2)
    mean.after([0], torch.tensor([4.0]))
    mean.after([0, 1], torch.tensor([2.0, 9.0]))
    assert mean.after([1], torch.tensor([1.0])).tolist() == [5.0]
    assert mean.seen.tolist() == [2, 2]


def test_nothing_is_known_of_a_task_never_seen():
    mean = LossMean(1, momentum=0.9).eval()
    assert mean.after([0], torch.tensor([4.0])).isnan().all()
    assert math.isnan(weights(EMALoss(("a", "b")), a=1.0)["b"])


def test_weights_can_be_normalised_over_the_present_tasks():
    for normalise, total in (("mean1", 2.0), ("sum1", 1.0)):
        found = weights(LogSum(("a", "b", "c"), normalise=normalise, preferences={"a": 3.0}), a=2.0, b=0.1)
        assert found["a"] + found["b"] == pytest.approx(total)
        assert found["a"] / found["b"] == pytest.approx(3 * 0.1 / 2.0)


def test_a_running_mean_without_memory_a_log_sum_and_the_optimum_of_imtl_agree():
    given = {"a": 2.0, "b": 0.01, "c": 0.7}
    wanted = weights(LogSum(tuple(given)), **given)
    assert weights(EMALoss(tuple(given), momentum=0.0), **given) == pytest.approx(wanted)
    assert weights(InitialLoss(tuple(given)), **given) == pytest.approx(wanted)
    assert weights(IMTLL(tuple(given), init="auto"), **given) == pytest.approx(wanted, rel=1e-5)
    whole = sum(wanted.values())
    shares = {task: weight / whole for task, weight in wanted.items()}
    for other in (GeometricLoss(tuple(given), normalise="sum1"), FAMO(tuple(given))):
        assert weights(other, **given) == pytest.approx(shares, rel=1e-5)


def test_without_a_floor_a_soft_target_starves_its_task_and_with_it_does_not():
    given = {"span": 0.55, "type": 0.05}  # .549 of the span is entropy
    plain = weights(EMALoss(tuple(given)), **given)
    floored = weights(EMALoss(tuple(given), floors={"span": 0.549}), **given)
    assert plain["span"] < 0.1 * plain["type"]
    assert floored["span"] > 10 * floored["type"]


def test_draws_are_standard_normal_and_uncorrelated():
    key = keys([f"task {k}" for k in range(50)])
    drawn = torch.stack([normals(torch.tensor(5), torch.tensor(step), key) for step in range(400)])
    flat = drawn.flatten().sort().values
    expected = torch.tensor([NormalDist().cdf(x) for x in flat.tolist()], dtype=torch.float64)
    steps = torch.arange(1, flat.numel() + 1, dtype=torch.float64) / flat.numel()
    # Kolmogorov and Smirnov: 1.95/sqrt(n) is passed once in a thousand samples.
    assert float((expected - steps).abs().max()) < 1.95 / math.sqrt(flat.numel())
    for one, other in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
        assert abs(float((one * other).mean())) < 4 / math.sqrt(one.numel())


def test_draws_depend_on_seed_step_and_name_and_on_nothing_else():
    def draw(seed, step, *names):
        return normals(torch.tensor(seed), torch.tensor(step), keys(names)).tolist()

    assert draw(1, 2, "a", "b") == [*draw(1, 2, "a"), *draw(1, 2, "b")]
    assert len({draw(seed, step, name)[0] for seed in (1, 2) for step in (1, 2) for name in "ab"}) == 8


def test_random_weights_move_every_step_and_only_in_training():
    balancer = RandomWeights(("a", "b"), seed=1)
    first = weights(balancer, a=1.0, b=1.0)
    second = weights(balancer, a=1.0, b=1.0)
    assert first != second
    state = balancer.eval().state_dict()["step"].item()
    weights(balancer, a=1.0, b=1.0)
    assert balancer.step.item() == state == 2


def test_dwa_raises_the_task_that_falls_slowly():
    balancer = DynamicWeightAverage(("slow", "fast"))
    for slow, fast in ((4.0, 4.0), (3.9, 1.0)):
        for noise in (-0.5, 0.5):  # means of epochs, not last values
            weights(balancer, slow=slow + noise, fast=fast + noise / 10)
        balancer.epoch_end()
    found = weights(balancer, slow=1.0, fast=1.0)
    ratio = math.exp((3.9 / 4.0 - 1.0 / 4.0) / 2)
    assert found["slow"] / found["fast"] == pytest.approx(ratio)
    assert sum(found.values()) == pytest.approx(2.0)


def test_dwa_without_epochs_is_the_plain_sum():
    balancer = DynamicWeightAverage(("a", "b"))
    for step in range(1, 9):
        assert weights(balancer, a=1.0 / step, b=1.0) == {"a": 1.0, "b": 1.0}


def test_a_task_absent_for_an_epoch_keeps_its_last_ones():
    balancer = DynamicWeightAverage(("a", "b"))
    for a in (4.0, 2.0):
        weights(balancer, a=a, b=1.0)
        balancer.epoch_end()
    weights(balancer, b=1.0)
    balancer.epoch_end()
    assert balancer.means[:, 0].tolist() == [2.0, 4.0]


def test_famo_raises_the_task_whose_log_loss_lags():
    balancer = FAMO(("slow", "fast"))
    for step in range(50):
        weights(balancer, slow=0.99**step, fast=0.9**step)
        after = {"slow": 0.99 ** (step + 1), "fast": 0.9 ** (step + 1)}
        balancer.after_step({task: torch.tensor(v, dtype=torch.float64) for task, v in after.items()})
    slow, fast = balancer.logits.tolist()
    assert slow - fast > 1.0


def test_famo_moves_only_tasks_present_before_and_after():
    balancer = FAMO(("a", "b", "c"))
    weights(balancer, a=1.0, b=1.0)
    balancer.after_step({"a": torch.tensor(0.5), "c": torch.tensor(0.5), "b": torch.tensor(0.9)})
    assert balancer.updates.tolist() == [1.0, 1.0, 0.0]
    assert balancer.logits[2].item() == 0.0


def test_famo_says_what_the_loop_forgot():
    balancer = FAMO(("a", "b"))
    with pytest.raises(ValueError, match="after_step: want a call in training mode before it"):
        balancer.after_step({"a": torch.tensor(1.0)})
    weights(balancer, a=1.0, b=1.0)
    with pytest.raises(ValueError, match=r"famo: want after_step\(losses\) after every step"):
        weights(balancer, a=1.0, b=1.0)
    with pytest.raises(ValueError, match="after_step: want refresh 'after_step', got 'next_batch'"):
        FAMO(("a", "b"), refresh="next_batch").after_step({"a": torch.tensor(1.0)})


def network():
    torch.manual_seed(0)
    shared = nn.Linear(3, 4).double()
    x = torch.randn(5, 3, dtype=torch.float64)

    def losses(factors=(1.0, 100.0)):
        out = shared(x).square().mean(0)
        return {"a": factors[0] * out[:2].sum(), "b": factors[1] * out[2:].sum()}

    return shared, losses


def norm(loss, shared):
    found = torch.autograd.grad(loss, list(shared.parameters()), retain_graph=True)
    return math.sqrt(sum(float(g.square().sum()) for g in found))


def test_unit_weights_make_norms_equal_and_their_geometric_mean_one():
    shared, losses = network()
    norms = {task: norm(loss, shared) for task, loss in losses().items()}
    balancer = Unit(("a", "b"), probe=1)
    balancer.backward(losses(), shared=shared.parameters())
    found = balancer.coefficients()
    assert found["a"] * norms["a"] == pytest.approx(found["b"] * norms["b"], rel=1e-6)
    assert found["a"] * found["b"] == pytest.approx(1.0, rel=1e-6)
    assert weights(Unit(("a", "b"), norms=norms), a=1.0, b=1.0) == pytest.approx(found, rel=1e-6)


def test_unit_weights_are_in_proportion_to_preferences():
    norms, preferences = {"a": 1.0, "b": 1.0}, {"a": 4.0}
    found = weights(Unit(("a", "b"), norms=norms, preferences=preferences), a=1.0, b=1.0)
    assert found == pytest.approx({"a": 2.0, "b": 0.5})


def test_unit_measures_the_probe_after_the_skip_and_then_freezes():
    shared, losses = network()
    balancer, seen = Unit(("a", "b"), skip=2, probe=2), []
    for factor in (1.0, 1.0, 10.0, 30.0, 1000.0, 1000.0):
        balancer.backward(losses((1.0, factor)), shared=shared.parameters())
        seen.append(balancer.coefficients())
    assert seen[1] == {"a": 1.0, "b": 1.0}
    assert seen[3] == seen[4] == seen[5]
    given = losses((1.0, 20.0))  # the mean of 10 and 30
    ratio = norm(given["b"], shared) / norm(losses((1.0, 20.0))["a"], shared)
    assert seen[5]["a"] / seen[5]["b"] == pytest.approx(ratio, rel=1e-5)


def test_unit_adds_no_gradient_of_its_own_while_it_measures():
    shared, losses = network()
    balancer = Unit(("a", "b"), probe=1)
    balancer.observe(losses(), shared=shared.parameters())
    assert all(p.grad is None for p in shared.parameters())


def test_unit_clips_and_gives_the_limit_to_a_task_without_gradient():
    found = weights(Unit(("a", "b"), norms={"a": 1e-9, "b": 1e9}, clip=50.0), a=1.0, b=1.0)
    assert found == pytest.approx({"a": 50.0, "b": 0.02})
    shared, losses = network()
    balancer = Unit(("a", "b"), probe=1, clip=50.0)
    balancer.backward(losses((0.0, 1.0)), shared=shared.parameters())
    assert balancer.coefficients() == pytest.approx({"a": 50.0, "b": 1.0})


def test_unit_measures_at_a_representation_too():
    z = torch.ones(4, requires_grad=True)
    balancer = Unit(("a", "b"), probe=1)
    balancer.backward({"a": 2 * z.sum(), "b": 8 * z.sum()}, representation=z)
    assert balancer.coefficients() == pytest.approx({"a": 2.0, "b": 0.5})


def test_unit_says_what_it_has_not_got():
    with pytest.raises(ValueError, match=r"unit: want norms, or backward\(..., shared=...\)"):
        weights(Unit(("a",)), a=1.0)
    with pytest.raises(ValueError, match="shared: want the shared parameters while norms are measured"):
        Unit(("a",)).backward({"a": torch.tensor(1.0, requires_grad=True)})


def test_soft_uncertainty_on_raw_losses_gives_everything_to_the_smallest_and_prenormalised_not():
    given = {"type": 2.0, "pointers": 0.01, "span": 0.7, "countdown": 1.5}
    raw = weights(SoftUncertainty(tuple(given), prenorm=None, temperature=5.0), **given)
    assert raw["pointers"] > 0.999
    found = weights(SoftUncertainty(tuple(given)), **given)
    assert [w * given[task] for task, w in found.items()] == pytest.approx([0.25] * 4)


def test_smooth_tchebycheff_leads_the_worst_of_prenormalised_tasks():
    balancer = SmoothTchebycheff(("a", "b"), smoothness=0.05, prenorm="first")
    weights(balancer, a=100.0, b=0.01)
    found = weights(balancer, a=10.0, b=0.009)  # b is at 90 % of its start, a at 10 %
    assert found["b"] * 0.01 > 0.999 > 0.001 > found["a"] * 100


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EMALoss(("a",), momentum=1.0), "momentum: want a number from 0 to below 1, got 1.0"),
        (lambda: InitialLoss(("a",), first=0), "first: want 1 or more, got 0"),
        (lambda: LogSum(("a",), normalise="max1"), "normalise: want 'mean1', 'sum1' or None, got 'max1'"),
        (lambda: LogSum(("a",), least=0.0), "least: want a finite number above 0, got 0.0"),
        (lambda: SoftUncertainty(("a",), temperature=0.0), "temperature: want"),
        (lambda: prenormaliser(1, "last", momentum=0.9), "prenorm: want 'first', 'ema' or None"),
        (lambda: SmoothTchebycheff(("a",), smoothness=-1.0), "smoothness: want"),
        (lambda: DynamicWeightAverage(("a",), temperature=NAN), "temperature: want"),
        (lambda: DynamicWeightAverage(("a",), steps_per_epoch=0), "steps_per_epoch: want"),
        (lambda: FAMO(("a",), refresh="never"), "refresh: want"),
        (lambda: FAMO(("a",), learning_rate=0.0), "learning_rate: want"),
        (lambda: FAMO(("a",), decay=-1.0), "decay: want"),
        (lambda: Unit(("a", "b"), norms={"a": 1.0}), "norms: want a number above 0 for each of"),
        (lambda: Unit(("a",), norms={"a": 0.0}), "norms: want a number above 0 for each of"),
        (lambda: Unit(("a",), probe=0), "probe: want"),
        (lambda: Unit(("a",), skip=-1), "skip: want"),
        (lambda: Unit(("a",), clip=1.0), "clip: want"),
        (lambda: IMTLL(("a",), init="best"), "init: want 'given' or 'auto', got 'best'"),
        (lambda: IMTLL(("a",), learning_rate=0.0), "learning_rate: want"),
        (lambda: IMTLL(("a",), log_weight={"b": 1.0}), "log_weight: want tasks among"),
    ],
)
def test_bad_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
