"""Floors and constants: what no prediction can beat, and what the best blind one reaches."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from moola_losses import BarBCE, CrossEntropy, Huber, LogLikelihood, UnitHuber
from moola_losses.countdown_buckets import CountdownBuckets
from moola_losses.dice import Dice
from moola_losses.focal import least_classes, least_two_class
from moola_losses.protocol import BoundedLoss

B, K, C = 6, 7, 3
KNOWN = torch.tensor([True, False, True, True, False, True])
WEIGHT = torch.tensor([1.0, 5.0, 0.5, 2.0, 7.0, 0.25], dtype=torch.float64)
LOSSES = [
    CrossEntropy(),
    CrossEntropy(class_weights=(1.0, 0.5, 3.0)),
    CrossEntropy(gamma=2.0),
    CrossEntropy(gamma=0.5, class_weights=(1.0, 0.5, 3.0)),
    Huber(delta=0.5),
    Huber(delta=3.0, reduction="window_mean"),
    UnitHuber(delta=0.08),
    UnitHuber(reduction="window_sum"),
    BarBCE(),
    BarBCE(pos_weight=13.1, reduction="window_sum"),
    BarBCE(gamma=2.0, pos_weight=3.0, reduction="window_mean"),
    Dice(),
    Dice(smooth=0.1),
    CountdownBuckets(),
    CountdownBuckets(softness=0.7, band=20),
    LogLikelihood(),
    LogLikelihood(per="bar"),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
PREDICTED = [loss for loss in LOSSES if not isinstance(loss, LogLikelihood)]
every_predicted = pytest.mark.parametrize("loss", PREDICTED, ids=repr)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def target_of(loss, seed=1):
    if isinstance(loss, CrossEntropy):
        return torch.arange(B) % C
    if isinstance(loss, BarBCE | Dice):
        return draw(B, K, seed=seed).sigmoid()
    if isinstance(loss, CountdownBuckets):
        return draw(B, K, seed=seed) * 15
    if isinstance(loss, LogLikelihood):
        return (draw(B, K, seed=seed) > 0).double()
    return draw(B, K, seed=seed) * 2


def width(loss):
    """Shape of a constant output."""
    return {CrossEntropy: (C,), CountdownBuckets: (11,)}.get(type(loss), ())


def spread(loss, constant):
    """A constant as the output for every example."""
    lead = (B,) if isinstance(loss, CrossEntropy) else (B, K)
    return constant.expand(*lead, *width(loss))


def least_by_descent(loss, target, start):
    """The least value of the loss over what `start` makes of free numbers, by L-BFGS from two places."""
    values = []
    for seed in range(2):
        free, output = start(seed)
        optimiser = torch.optim.LBFGS(
            [free], max_iter=60, tolerance_grad=1e-8, tolerance_change=1e-11, line_search_fn="strong_wolfe"
        )

        def closure(free=free, output=output, optimiser=optimiser):
            optimiser.zero_grad()
            total = loss(output(free), target, KNOWN, WEIGHT).total
            total.backward()
            return total

        optimiser.step(closure)
        values.append(loss(output(free), target, KNOWN, WEIGHT).total.item())
    return min(values)


@every_loss
def test_every_loss_knows_its_bounds(loss):
    assert isinstance(loss, BoundedLoss)
    assert not isinstance(lambda output, target, mask, weight: None, BoundedLoss)


@every_predicted
def test_the_constant_is_what_descent_finds(loss):
    target = target_of(loss)

    def start(seed):
        free = (0.3 * draw(*width(loss), seed=seed)).requires_grad_()
        return free, lambda free: spread(loss, free)

    assert loss.constant(target, KNOWN, WEIGHT).total.item() == pytest.approx(
        least_by_descent(loss, target, start), abs=1e-6
    )


@every_predicted
def test_the_floor_is_what_descent_over_all_outputs_approaches(loss):
    target = target_of(loss)

    def start(seed):
        if isinstance(loss, Dice | CountdownBuckets | CrossEntropy):
            free = 0.1 * draw(*spread(loss, torch.zeros(width(loss))).shape, seed=seed)
        else:
            free = target.clone() + 0.1 * draw(*target.shape, seed=seed)
        return free.requires_grad_(), lambda free: free

    least = loss.floor(target, KNOWN, WEIGHT).total.item()
    found = least_by_descent(loss, target, start)
    assert least <= found + 1e-9
    assert found == pytest.approx(least, rel=1e-3, abs=2e-3)


@every_predicted
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 30))
def test_no_prediction_is_below_the_floor_and_no_constant_below_the_constant(loss, seed, scale):
    target = target_of(loss, seed=seed)
    output = scale * draw(*spread(loss, torch.zeros(width(loss))).shape, seed=seed + 1)
    floor, best = loss.floor(target, KNOWN, WEIGHT), loss.constant(target, KNOWN, WEIGHT)
    constant = spread(loss, scale * draw(*width(loss), seed=seed + 2))
    assert loss(output, target, KNOWN, WEIGHT).total >= floor.total - 1e-9
    assert loss(constant, target, KNOWN, WEIGHT).total >= best.total - 1e-9
    assert best.total >= floor.total - 1e-9


@every_loss
@pytest.mark.parametrize("bound", ["floor", "constant"])
def test_masked_and_weightless_examples_count_like_absent_ones(loss, bound):
    target = target_of(loss)
    spoilt = target.clone()
    spoilt[~KNOWN] = float("nan") if target.is_floating_point() else -1
    absent = getattr(loss, bound)(target[KNOWN], torch.ones(4, dtype=torch.bool), WEIGHT[KNOWN])
    torch.testing.assert_close(getattr(loss, bound)(spoilt, KNOWN, WEIGHT), absent)
    weightless = getattr(loss, bound)(target, torch.ones(B, dtype=torch.bool), WEIGHT * KNOWN)
    torch.testing.assert_close(weightless, absent)


@every_loss
@pytest.mark.parametrize("bound", ["floor", "constant"])
def test_bounds_without_known_targets_are_zero_of_zero(loss, bound):
    found = getattr(loss, bound)(target_of(loss), torch.zeros(B, dtype=torch.bool), WEIGHT)
    assert (found.total.item(), found.weight.item()) == (0.0, 0.0)


@every_predicted
def test_bounds_weigh_as_the_loss_does(loss):
    target = target_of(loss)
    weight = loss(spread(loss, torch.zeros(width(loss))), target, KNOWN, WEIGHT).weight
    assert loss.floor(target, KNOWN, WEIGHT).weight == weight == loss.constant(target, KNOWN, WEIGHT).weight


def mean(bound):
    return float(bound.total / bound.weight)


def test_the_constant_of_a_hundred_and_five_countdowns_is_the_median_huber():
    bars = (52.0 - torch.arange(105.0)).clamp(-20, 20)[None]
    # 0.125 would be the loss one bar from the median; |r| - 1/2 beyond.
    wanted = sum(abs(r) - 0.5 if abs(r) > 1 else r * r / 2 for r in bars[0].tolist()) / 105
    assert mean(Huber().constant(bars, torch.tensor([True]), torch.ones(1))) == pytest.approx(
        wanted, abs=1e-9
    )


def test_a_constant_by_output_is_the_sum_of_the_columns_constants():
    target = torch.tensor([[0.5, 0.1], [0.6, 0.2], [0.9, 0.0]], dtype=torch.float64)
    known, weight = torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.float64)
    apart = Huber(delta=0.08).constant(target, known, weight, apart="outputs").total
    columns = [Huber(delta=0.08).constant(target[:, j], known, weight).total for j in (0, 1)]
    torch.testing.assert_close(apart, sum(columns))
    assert apart < Huber(delta=0.08).constant(target, known, weight).total


def test_a_prior_by_bar_is_the_sum_of_the_bars_constants():
    target, known = draw(B, K).sigmoid(), torch.ones(B, dtype=torch.bool)
    for loss in (BarBCE(pos_weight=2.0), BarBCE(gamma=1.0, reduction="window_sum")):
        apart = loss.constant(target, known, WEIGHT, apart="bars").total
        columns = [loss.constant(target[:, k : k + 1], known, WEIGHT).total for k in range(K)]
        torch.testing.assert_close(apart, sum(columns))


def test_the_code_length_of_independent_tags():
    tags = torch.tensor([[0, 0, 0, 1], [0, 1, 0, 0]])
    best = LogLikelihood().constant(tags, torch.tensor([True, True]), torch.ones(2))
    assert mean(best) == pytest.approx(4 * -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_soft_tags_have_no_code_length():
    with pytest.raises(ValueError, match="want discrete tags, got soft marks"):
        LogLikelihood().constant(torch.full((1, 4), 0.5), torch.tensor([True]), torch.ones(1))


@settings(deadline=None, max_examples=30)
@given(
    masses=st.lists(st.floats(0.001, 100), min_size=2, max_size=2),
    gamma=st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0]),
)
def test_two_classes_are_a_special_case_of_many(masses, gamma):
    pair = torch.tensor(masses, dtype=torch.float64)
    assert least_two_class(pair[0], pair[1], gamma=gamma).item() == pytest.approx(
        least_classes(pair, gamma=gamma).item(), rel=1e-9, abs=1e-12
    )


def test_reductions_count_bars_windows_and_sums():
    target, weight = draw(2, K, seed=1).sigmoid(), torch.tensor([1.0, 3.0], dtype=torch.float64)
    mask = torch.ones(2, K, dtype=torch.bool)
    mask[0, 2:] = False
    output = draw(2, K)
    first, second = (
        torch.nn.functional.binary_cross_entropy_with_logits(output[b][mask[b]], target[b][mask[b]])
        for b in (0, 1)
    )
    element, windows, sums = (
        BarBCE(reduction=r)(output, target, mask, weight) for r in ("element", "window_mean", "window_sum")
    )
    torch.testing.assert_close(element.total / element.weight, (2 * first + 21 * second) / 23)
    torch.testing.assert_close(windows.total / windows.weight, (first + 3 * second) / 4)
    torch.testing.assert_close(sums.total / sums.weight, (2 * first + 21 * second) / 4)
    assert element.total == sums.total


def test_dice_of_a_window_by_hand():
    p, y = torch.tensor([[0.5, 0.25, 0.75]], dtype=torch.float64), torch.tensor([[1.0, 0.0, 1.0]])
    loss = Dice(smooth=0.5)(p.logit(), y, torch.tensor([True]), torch.ones(1))
    assert loss.total.item() == pytest.approx(1 - (2 * 1.25 + 0.5) / (1.5 + 2 + 0.5))


def test_a_window_without_marks_wants_none():
    loss, known = Dice(), torch.tensor([True])
    values = [
        loss(torch.full((1, K), z), torch.zeros(1, K), known, torch.ones(1)).total for z in (-9.0, 0.0, 9.0)
    ]
    assert values == sorted(values)
    assert values[0] < 2e-3


def test_hard_buckets_are_plain_cross_entropy():
    bars = torch.tensor([[-25.0, -20.0, -1.0, 0.0, 0.9, 1.0, 20.0, 21.0]])
    label = torch.tensor([[0, 1, 4, 5, 5, 6, 9, 10]])
    output = draw(1, 8, 11)
    loss = CountdownBuckets()(output, bars, torch.tensor([True]), torch.ones(1))
    torch.testing.assert_close(
        loss.total / loss.weight, torch.nn.functional.cross_entropy(output[0], label[0])
    )


def test_a_near_bucket_is_less_wrong_than_a_far_one():
    known, bars = torch.tensor([True]), torch.tensor([[4.0]])
    values = []
    for bucket in (7, 8, 9, 10):
        output = torch.zeros(1, 1, 11)
        output[0, 0, bucket] = 3.0
        values.append(CountdownBuckets(softness=1.0)(output, bars, known, torch.ones(1)).total)
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_bars_beyond_the_band_are_left_out_and_nan_is_not():
    loss, known = CountdownBuckets(band=5), torch.tensor([True])
    assert loss(draw(1, 3, 11), torch.tensor([[5.0, -6.0, 104.0]]), known, torch.ones(1)).weight == 1
    assert loss(draw(1, 1, 11), torch.tensor([[float("nan")]]), known, torch.ones(1)).total.isnan()


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0)])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(ValueError, match="edges: want one or more ascending numbers"):
        CountdownBuckets(edges=edges)


def test_buckets_refuse_other_numbers_of_logits():
    with pytest.raises(ValueError, match="want 11 logits"):
        CountdownBuckets()(torch.zeros(1, 2, 3), torch.zeros(1, 2), torch.tensor([True]), torch.ones(1))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_quiets_what_is_right(gamma):
    output, label = torch.tensor([[3.0, 0.0, 0.0]], dtype=torch.float64), torch.tensor([0])
    p = output.softmax(1)[0, 0]
    loss = CrossEntropy(gamma=gamma)(output, label, torch.tensor([True]), torch.ones(1))
    torch.testing.assert_close(loss.total, -((1 - p) ** gamma) * p.log())
    bar = BarBCE(gamma=gamma)(p.logit()[None, None], torch.ones(1, 1), torch.tensor([True]), torch.ones(1))
    torch.testing.assert_close(bar.total, loss.total)
