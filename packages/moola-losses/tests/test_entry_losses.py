"""Losses of journal entries: lines, flow, coverage, relatives."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from moola_losses.coverage import Coverage
from moola_losses.flow_divergence import FlowDivergence, gold_flow, log_flow
from moola_losses.hierarchical_pointer import HierarchicalPointer, ancestor_labels
from moola_losses.line_cross_entropy import LineCrossEntropy
from moola_losses.protocol import BoundedLoss

B, T, C = 4, 5, 6
PARENTS = (-1, 0, 1, 1, -1, 4)
LINES = torch.arange(T) < torch.tensor([2, 5, 3, 1])[:, None]
WEIGHT = torch.tensor([1.0, 0.5, 2.0, 3.0], dtype=torch.float64)
BY_LINE = [
    LineCrossEntropy(),
    LineCrossEntropy(reduction="window_mean"),
    LineCrossEntropy(reduction="window_sum"),
    HierarchicalPointer(parents=PARENTS),
    HierarchicalPointer(parents=PARENTS, own=0.5, reduction="window_mean"),
    Coverage(),
]
by_line = pytest.mark.parametrize("loss", BY_LINE, ids=repr)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def accounts(seed=1):
    return torch.randint(C, (B, T), generator=torch.Generator().manual_seed(seed))


@by_line
def test_slots_behind_the_last_line_have_no_influence(loss):
    output = draw(B, T, C).requires_grad_()
    wanted = loss(output, accounts(), LINES, WEIGHT)
    (slope,) = torch.autograd.grad(wanted.total, output)
    assert not slope[~LINES].any()
    assert slope[LINES].any()
    longer = torch.cat([output, draw(B, 35, C, seed=3) * 20], 1)
    target = torch.cat([accounts(), torch.full((B, 35), -1)], 1)
    lines = torch.cat([LINES, torch.zeros(B, 35, dtype=torch.bool)], 1)
    torch.testing.assert_close(loss(longer, target, lines, WEIGHT), wanted)


@by_line
def test_a_mask_by_entry_is_refused(loss):
    with pytest.raises(ValueError, match=r"mask: want one mark a line, shape \(4, 5\), got \(4,\)"):
        loss(draw(B, T, C), accounts(), LINES[:, 0], WEIGHT)


@by_line
def test_an_entry_of_weight_zero_counts_like_an_absent_one(loss):
    weight = WEIGHT * torch.tensor([1, 0, 1, 1])
    kept = torch.tensor([0, 2, 3])
    found, best = loss(draw(B, T, C), accounts(), LINES, weight), loss.constant(accounts(), LINES, weight)
    rest = accounts()[kept], LINES[kept], weight[kept]
    torch.testing.assert_close(found, loss(draw(B, T, C)[kept], *rest))
    torch.testing.assert_close(best, loss.constant(*rest))


@by_line
def test_gradients_pass_gradcheck(loss):
    output = draw(B, T, C).requires_grad_()
    assert torch.autograd.gradcheck(lambda o: loss(o, accounts(), LINES, WEIGHT).total, output)


@by_line
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 30))
def test_nothing_is_below_the_floor_and_no_constant_below_the_constant(loss, seed, scale):
    target = accounts(seed)
    floor, best = loss.floor(target, LINES, WEIGHT), loss.constant(target, LINES, WEIGHT)
    anything = loss(scale * draw(B, T, C, seed=seed), target, LINES, WEIGHT)
    blind = loss(scale * draw(C, seed=seed).expand(B, T, C), target, LINES, WEIGHT)
    assert isinstance(loss, BoundedLoss)
    assert anything.total >= floor.total - 1e-9
    assert blind.total >= best.total - 1e-9
    assert best.total >= floor.total - 1e-9
    assert floor.weight == best.weight == anything.weight


@by_line
def test_the_constant_is_reached(loss):
    target = accounts()
    logits = torch.zeros(C, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    least = math.inf
    for _ in range(250):
        optimiser.zero_grad()
        total = loss(logits.expand(B, T, C), target, LINES, WEIGHT).total
        total.backward()
        optimiser.step()
        least = min(least, total.item())
    # Coverage is piecewise linear, so fixed steps stop at a corner only roughly.
    assert least == pytest.approx(
        loss.constant(target, LINES, WEIGHT).total.item(), abs=0.05 if isinstance(loss, Coverage) else 1e-4
    )


@by_line
def test_the_floor_is_reached_by_the_labels(loss):
    target = accounts()
    labels = torch.eye(C, dtype=torch.float64)
    if isinstance(loss, HierarchicalPointer):
        labels = ancestor_labels(PARENTS, own=loss.own)
    output = labels[target].clamp(min=1e-30).log()
    torch.testing.assert_close(
        loss(output, target, LINES, WEIGHT).total, loss.floor(target, LINES, WEIGHT).total
    )


def test_lines_agree_with_torch():
    output, target = draw(B, T, C), torch.where(LINES, accounts(), -100)
    loss = LineCrossEntropy()(output, target, LINES, torch.ones(B))
    torch.testing.assert_close(
        loss.total / loss.weight, torch.nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())
    )


def test_the_stop_of_a_short_entry_is_not_drowned_by_padding():
    target = torch.zeros(1, 40, dtype=torch.long)
    target[0, 2] = 1
    never = torch.tensor([8.0, -8.0]).expand(1, 40, 2)
    loss = LineCrossEntropy()(never, target, torch.arange(40)[None] < 3, torch.ones(1))
    assert loss.weight == 3
    assert float(loss.total / loss.weight) == pytest.approx(16 / 3, abs=1e-3)


def test_relatives_are_less_wrong_than_strangers():
    loss, one = HierarchicalPointer(parents=PARENTS), torch.tensor([[True]])
    values = []
    for pointed in (2, 1, 3):
        output = torch.zeros(1, 1, C)
        output[0, 0, pointed] = 4.0
        values.append(loss(output, torch.tensor([[2]]), one, torch.ones(1)).total)
    assert values[0] < values[1] < values[2]


def test_an_account_without_ancestors_costs_plain_cross_entropy_however_long_its_entry():
    loss = HierarchicalPointer(parents=(-1,) * C)
    for lines in (1, 2, 5):
        known = torch.arange(T)[None] < lines
        torch.testing.assert_close(
            loss(draw(1, T, C), accounts()[:1], known, torch.ones(1)),
            LineCrossEntropy()(draw(1, T, C), accounts()[:1], known, torch.ones(1)),
        )


@pytest.mark.parametrize(
    ("parents", "message"), [((1, 0), "a circle"), ((0,), "a circle"), ((7, -1), "got 7")]
)
def test_parents_that_are_no_tree_are_refused(parents, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalPointer(parents=parents)


def surely(accounts, sides, size=4):
    """Logits that put everything on the given accounts and sides."""
    one = torch.nn.functional.one_hot
    return 80.0 * one(torch.tensor([accounts]), size), 80.0 * one(torch.tensor([sides]), 2)


def flow(predicted, gold, amounts):
    lines = torch.ones(1, len(gold[0]), dtype=torch.bool)
    pointed, side = surely(*predicted)
    target = gold_flow(*(torch.tensor([g]) for g in gold), torch.tensor([amounts]), lines=lines, size=4)
    return FlowDivergence()(log_flow(pointed, side, lines=lines), target, torch.tensor([True]), torch.ones(1))


def test_a_perfect_prediction_flows_right():
    assert flow(([0, 2], [0, 1]), ([0, 2], [0, 1]), [1.0, 1.0]) == (0.0, 2.0)


def test_a_repeated_account_merges():
    loss = flow(([0, 0, 1], [0, 0, 1]), ([0, 0, 1], [0, 0, 1]), [0.7, 0.3, 1.0])
    assert loss.total.item() == pytest.approx(0.0, abs=1e-6)


def test_a_side_with_one_account_costs_what_went_elsewhere():
    assert flow(([3, 2], [0, 1]), ([0, 2], [0, 1]), [1.0, 1.0]).total > 50


def test_a_side_without_amounts_is_left_out():
    loss = flow(([0, 2], [0, 1]), ([0, 2], [0, 1]), [1.0, 0.0])
    assert loss.weight == 1


def test_the_flow_of_one_account_is_the_log_of_its_share():
    pointed, sides = draw(1, 1, 4), torch.tensor([[[80.0, 0.0]]])
    line = torch.tensor([[True]])
    target = gold_flow(torch.tensor([[2]]), torch.tensor([[0]]), torch.tensor([[5.0]]), lines=line, size=4)
    loss = FlowDivergence()(log_flow(pointed, sides, lines=line), target, torch.tensor([True]), torch.ones(1))
    torch.testing.assert_close(loss.total, -pointed.log_softmax(2)[0, 0, 2])


def test_flow_agrees_with_torch_and_its_bounds_hold():
    target = draw(B, 2, C, seed=2).exp() * (draw(B, 2, C, seed=4) > 0)
    target[1, 0] = 0
    output, known = draw(B, 2, C).requires_grad_(), torch.tensor([True, True, True, False])
    loss = FlowDivergence()(output, target, known, WEIGHT)
    wanted, sides = 0.0, [(b, s) for b in range(3) for s in (0, 1) if (b, s) != (1, 0)]
    for b, s in sides:
        q = target[b, s] / target[b, s].sum()
        wanted += WEIGHT[b] * torch.nn.functional.kl_div(output[b, s].log_softmax(0), q, reduction="sum")
    torch.testing.assert_close(loss.total, wanted)
    assert loss.weight == sum(WEIGHT[b] for b, _ in sides)
    loss.total.backward()
    assert output.grad.isfinite().all()
    assert not output.grad[3].any()
    assert not output.grad[1, 0].any()
    best = FlowDivergence().constant(target, known, WEIGHT)
    mean = torch.stack(
        [
            sum(WEIGHT[b] * target[b, s] / target[b, s].sum() for b in range(3) if (b, s) in sides)
            for s in (0, 1)
        ]
    )
    torch.testing.assert_close(
        FlowDivergence()(mean.log().expand(B, 2, C), target, known, WEIGHT).total, best.total
    )
    assert FlowDivergence().floor(target, known, WEIGHT) == (0.0, loss.weight)


def test_an_entry_without_lines_flows_nowhere_without_nan():
    pointed = draw(2, 3, C).requires_grad_()
    lines = torch.tensor([[True, True, False], [False, False, False]])
    output = log_flow(pointed, draw(2, 3, 2), lines=lines)
    target = gold_flow(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 3), lines=lines, size=C)
    loss = FlowDivergence()(output, target, torch.tensor([True, True]), torch.ones(2))
    loss.total.backward()
    assert loss.weight == 1
    assert pointed.grad.isfinite().all()


def test_coverage_leaves_genuine_repeats_alone_and_counts_the_rest():
    lines = torch.ones(1, 3, dtype=torch.bool)
    pointed = surely([1, 1, 1], [0, 0, 0])[0]
    for gold, wanted in (([1, 1, 1], 0.0), ([1, 1, 2], 1.0), ([0, 2, 3], 3.0)):
        loss = Coverage()(pointed, torch.tensor([gold]), lines, torch.ones(1))
        assert (loss.total.item(), loss.weight.item()) == (pytest.approx(wanted), 1.0)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_the_best_blind_coverage_is_that_of_a_fine_grid(seed):
    target = torch.randint(2, (3, 4), generator=torch.Generator().manual_seed(seed))
    lines, weight = torch.arange(4) < torch.tensor([1, 4, 3])[:, None], torch.tensor([1.0, 2.0, 0.5])
    grid = torch.linspace(0, 1, 13, dtype=torch.float64)  # a sum of bent lines is least at a corner n / lines
    values = [
        Coverage()(torch.stack([p, 1 - p]).log().expand(3, 4, 2), target, lines, weight).total for p in grid
    ]
    assert float(min(values)) == pytest.approx(
        Coverage().constant(target, lines, weight).total.item(), abs=1e-9
    )
