"""What every task loss must do, and agreement of each with torch's own and with its formula."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from pydantic import ValidationError
from torch.nn import functional

from moola_losses import BarBCE, CrossEntropy, Huber, LogLikelihood, LossSum, UnitHuber
from moola_losses.countdown_buckets import CountdownBuckets
from moola_losses.dice import Dice

B, K, C = 6, 7, 3


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(loss):
    """An output and a target that fit the loss."""
    if isinstance(loss, CrossEntropy):
        return draw(B, C), torch.arange(B) % C
    if isinstance(loss, CountdownBuckets):
        return draw(B, K, 11), draw(B, K, seed=1) * 15
    if isinstance(loss, BarBCE | Dice):
        return draw(B, K), draw(B, K, seed=1).sigmoid()
    if isinstance(loss, LogLikelihood):
        return -draw(B).abs(), torch.zeros(B, K)
    return draw(B, K) * 3, draw(B, K, seed=1)


LOSSES = [
    CrossEntropy(),
    CrossEntropy(class_weights=(1.0, 0.5, 3.0)),
    Huber(delta=0.5),
    UnitHuber(delta=0.5),
    BarBCE(),
    BarBCE(pos_weight=13.1),
    LogLikelihood(),
    LogLikelihood(per="bar"),
    CrossEntropy(gamma=2.0),
    Huber(reduction="window_mean"),
    BarBCE(gamma=1.5, pos_weight=3.0),
    BarBCE(reduction="window_mean"),
    BarBCE(reduction="window_sum"),
    Dice(),
    CountdownBuckets(),
    CountdownBuckets(softness=0.7, band=20, reduction="window_mean"),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
KNOWN = torch.tensor([True, False, True, True, False, True])
WEIGHT = torch.tensor([1.0, 5.0, 0.5, 2.0, 7.0, 0.25])


@every_loss
def test_parts_of_a_batch_add_up_to_the_whole(loss):
    output, target = case(loss)
    whole = loss(output, target, KNOWN, WEIGHT)
    parts = [loss(output[s], target[s], KNOWN[s], WEIGHT[s]) for s in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(whole.total, parts[0].total + parts[1].total)
    torch.testing.assert_close(whole.weight, parts[0].weight + parts[1].weight)


@every_loss
def test_masked_examples_count_like_absent_ones(loss):
    output, target = case(loss)
    masked, absent = (
        loss(output, target, KNOWN, WEIGHT),
        loss(output[KNOWN], target[KNOWN], torch.ones(4, dtype=torch.bool), WEIGHT[KNOWN]),
    )
    torch.testing.assert_close(masked, absent)


@every_loss
def test_an_example_of_weight_two_counts_like_two(loss):
    output, target = case(loss)
    double = loss(output, target, KNOWN, 2 * torch.ones(B))
    twice = loss(
        output.repeat(2, *[1] * (output.ndim - 1)),
        torch.cat([target] * 2),
        KNOWN.repeat(2),
        torch.ones(2 * B),
    )
    torch.testing.assert_close(double, twice)


@every_loss
def test_the_order_of_examples_does_not_matter(loss):
    output, target = case(loss)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(
        loss(output[order], target[order], KNOWN[order], WEIGHT[order]), loss(output, target, KNOWN, WEIGHT)
    )


@every_loss
def test_an_empty_mask_gives_zero_weight_and_zero_gradients(loss):
    output, target = case(loss)
    output.requires_grad_()
    total, weight = loss(output, target, torch.zeros(B, dtype=torch.bool), WEIGHT)
    total.backward()
    assert (total.item(), weight.item()) == (0.0, 0.0)
    assert torch.equal(output.grad, torch.zeros_like(output))


@every_loss
def test_what_stands_in_masked_targets_has_no_influence(loss):
    output, target = case(loss)
    output.requires_grad_()
    spoilt = target.clone()
    spoilt[~KNOWN] = float("nan") if target.is_floating_point() else -1
    (wanted,) = torch.autograd.grad(loss(output, target, KNOWN, WEIGHT).total, output)
    (found,) = torch.autograd.grad(loss(output, spoilt, KNOWN, WEIGHT).total, output)
    assert torch.equal(found, wanted)


@every_loss
def test_half_precision_outputs_are_summed_in_single(loss):
    output, target = case(loss)
    assert loss(output.bfloat16(), target, KNOWN, WEIGHT).total.dtype == torch.float32


@every_loss
def test_gradients_pass_gradcheck(loss):
    output, target = case(loss)
    assert torch.autograd.gradcheck(lambda o: loss(o, target, KNOWN, WEIGHT).total, output.requires_grad_())


@every_loss
def test_losses_compile_without_graph_breaks(loss):
    output, target = case(loss)
    compiled = torch.compile(loss.__call__, fullgraph=True, backend="eager")
    torch.testing.assert_close(
        LossSum(*compiled(output, target, KNOWN, WEIGHT)), loss(output, target, KNOWN, WEIGHT)
    )


@every_loss
@pytest.mark.parametrize(
    ("mask", "weight", "message"),
    [
        (KNOWN.float(), WEIGHT, "mask: want bool, got torch.float32"),
        (KNOWN[:2], WEIGHT, "mask: want shape"),
        (KNOWN, WEIGHT[:2], r"weight: want shape \(6,\), got \(2,\)"),
        (KNOWN, WEIGHT[:, None], "weight: want shape"),
    ],
)
def test_masks_and_weights_that_do_not_fit_are_refused(loss, mask, weight, message):
    output, target = case(loss)
    with pytest.raises(ValueError, match=message):
        loss(output, target, mask, weight)


@pytest.mark.parametrize("loss", [Huber(), UnitHuber(), BarBCE()], ids=repr)
def test_element_masks_leave_out_single_elements(loss):
    output, target = case(loss)
    mask = draw(B, K, seed=2) > 0
    total, weight = loss(output, target, mask, WEIGHT)
    each = [
        loss(
            output[b : b + 1, k : k + 1],
            target[b : b + 1, k : k + 1],
            torch.tensor([True]),
            WEIGHT[b : b + 1],
        )
        for b, k in mask.nonzero().tolist()
    ]
    torch.testing.assert_close(total, sum(e.total for e in each))
    torch.testing.assert_close(weight, sum(e.weight for e in each))


@pytest.mark.parametrize("loss", [Huber(), UnitHuber(), BarBCE()], ids=repr)
def test_a_target_of_another_shape_is_refused(loss):
    with pytest.raises(ValueError, match=r"target: want the output's shape \(6, 7\), got \(6, 6\)"):
        loss(draw(B, K), draw(B, K - 1), KNOWN, WEIGHT)


def mean(loss, output, target, weight=None):
    n = len(output)
    total, weights = loss(
        output, target, torch.ones(n, dtype=torch.bool), torch.ones(n) if weight is None else weight
    )
    return total / weights


@pytest.mark.parametrize("class_weights", [None, (1.0, 0.5, 3.0)])
def test_cross_entropy_agrees_with_torch(class_weights):
    output, target = draw(B, C), torch.arange(B) % C
    found = mean(CrossEntropy(class_weights=class_weights), output, target)
    tensor = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float64)
    torch.testing.assert_close(found, functional.cross_entropy(output, target, tensor))


def test_cross_entropy_of_a_uniform_guess_is_the_log_of_the_classes():
    assert mean(CrossEntropy(), torch.zeros(4, 3), torch.arange(4) % 3).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("label", [-1, -100, 3])
def test_a_label_outside_the_classes_is_refused_where_known(label):
    with pytest.raises((RuntimeError, IndexError), match=r"out of bounds|out of range"):
        mean(CrossEntropy(), torch.zeros(2, 3), torch.tensor([0, label]))


@pytest.mark.parametrize(
    ("output", "target", "loss", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2), CrossEntropy(), "want integer labels, got torch.float32"),
        (torch.zeros(2, 3), torch.zeros(2, 3).long(), CrossEntropy(), r"want shape \(B,\) beside logits"),
        (torch.zeros(2), torch.zeros(2).long(), CrossEntropy(), r"want shape \(B,\) beside logits"),
        (torch.zeros(2, 3), torch.zeros(2).long(), CrossEntropy(class_weights=(1.0,)), "one for each of 3"),
    ],
)
def test_cross_entropy_refuses_what_does_not_fit(output, target, loss, message):
    with pytest.raises(ValueError, match=message):
        mean(loss, output, target)


@pytest.mark.parametrize("delta", [0.08, 1.0, 10.0])
def test_huber_agrees_with_torch(delta):
    output, target = draw(B, K) * 3, draw(B, K, seed=1)
    torch.testing.assert_close(
        mean(Huber(delta=delta), output, target), functional.huber_loss(output, target, delta=delta)
    )
    torch.testing.assert_close(
        mean(UnitHuber(delta=delta), output, target), functional.smooth_l1_loss(output, target, beta=delta)
    )


@settings(deadline=None, max_examples=30)
@given(error=st.floats(-50, 50), delta=st.floats(0.01, 20))
def test_slopes_of_huber_are_capped_at_delta_and_of_unit_huber_at_one(error, delta):
    for loss, cap in ((Huber(delta=delta), delta), (UnitHuber(delta=delta), 1.0)):
        output = torch.tensor([error], dtype=torch.float64, requires_grad=True)
        mean(loss, output, torch.zeros(1)).backward()
        wanted = math.copysign(min(abs(error) / delta, 1.0), error) * cap
        assert output.grad.item() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("pos_weight", [1.0, 13.1])
def test_bar_bce_agrees_with_torch_for_soft_marks(pos_weight):
    output, target = draw(B, K) * 5, draw(B, K, seed=1).sigmoid()
    wanted = functional.binary_cross_entropy_with_logits(
        output, target, pos_weight=torch.tensor(pos_weight).double()
    )
    torch.testing.assert_close(mean(BarBCE(pos_weight=pos_weight), output, target), wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_bar_bce_of_huge_logits_is_finite(logit):
    output = torch.full((1, 2), logit, requires_grad=True)
    loss = mean(BarBCE(), output, torch.tensor([[0.0, 1.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(1e4 / 2)
    assert output.grad.isfinite().all()


def test_bar_bce_takes_boolean_marks():
    marks = draw(B, K, seed=1) > 0
    assert torch.equal(mean(BarBCE(), draw(B, K), marks), mean(BarBCE(), draw(B, K), marks.double()))


@settings(deadline=None, max_examples=20)
@given(rate=st.floats(0.01, 0.99), weight=st.floats(0.1, 20))
def test_pos_weight_moves_the_best_constant_as_documented(rate, weight):
    p = weight * rate / (weight * rate + 1 - rate)
    output = torch.tensor([[math.log(p / (1 - p))]], dtype=torch.float64, requires_grad=True)
    mean(BarBCE(pos_weight=weight), output, torch.tensor([[rate]], dtype=torch.float64)).backward()
    assert output.grad.item() == pytest.approx(0, abs=1e-9)


def test_log_likelihood_is_nats_a_window_or_a_bar():
    output, target = torch.tensor([-2.0, -4.0]), torch.zeros(2, 10)
    assert mean(LogLikelihood(), output, target).item() == 3.0
    assert mean(LogLikelihood(per="bar"), output, target).item() == pytest.approx(0.3)


def test_log_likelihood_leaves_out_windows_with_an_unknown_bar():
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[0, 3] = False
    assert LogLikelihood()(torch.tensor([-2.0, -4.0]), torch.zeros(2, 10), mask, torch.ones(2)) == (4.0, 1.0)


def test_log_likelihood_refuses_per_bar_output():
    with pytest.raises(ValueError, match="was the model called without targets"):
        mean(LogLikelihood(), torch.zeros(2, 10), torch.zeros(2, 10))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Huber(delta=0.0), "delta"),
        (lambda: UnitHuber(delta=float("inf")), "delta"),
        (lambda: BarBCE(pos_weight=-1.0), "pos_weight"),
        (lambda: CrossEntropy(class_weights=(1.0, -1.0)), "class_weights"),
        (lambda: LogLikelihood(per="day"), "per"),
        (lambda: Huber(kind="bar_bce"), "kind"),
    ],
)
def test_bad_settings_are_refused_by_name(make, field):
    with pytest.raises(ValidationError, match=field):
        make()
