"""The optimiser of CPU runs equals torch's own, bit for bit."""

import copy

import pytest
import torch
from torch import nn

from moola_train.fused_adamw import FusedAdamW


def pair(kind=torch.float32):
    g = torch.Generator().manual_seed(3)
    shapes = [(5, 4), (5,), (3, 5), ()]
    ours = [nn.Parameter(torch.randn(shape, generator=g).to(kind)) for shape in shapes]
    theirs = copy.deepcopy(ours)

    def groups(parameters):
        return [
            {"params": parameters[:2], "lr": 0.03, "weight_decay": 0.2},
            {"params": parameters[2:], "lr": 0.01, "weight_decay": 0.0},
        ]

    return FusedAdamW(groups(ours), fused=True), torch.optim.AdamW(groups(theirs), fused=True), ours, theirs


def steps(mine, other, ours, theirs, numbers, *, absent=lambda step, place: False):
    for step in numbers:
        g = torch.Generator().manual_seed(step)
        for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            slope = torch.randn(a.shape, generator=g).to(a.dtype)
            a.grad, b.grad = (None, None) if absent(step, place) else (slope.clone(), slope.clone())
        mine.step()
        other.step()
    return mine, other, ours, theirs


def assert_same(mine, other, ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)
        assert mine.state[a].keys() == other.state[b].keys()
        for key, value in other.state[b].items():
            assert torch.equal(mine.state[a][key], value)
            assert mine.state[a][key].dtype == value.dtype


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_equals_torch_bitwise(kind):
    assert_same(*steps(*pair(kind), range(20)))


def test_equals_torch_bitwise_where_gradients_come_and_go():
    found = steps(*pair(), range(20), absent=lambda step, place: (step + place) % 3 == 0)
    assert_same(*found)


def test_types_may_be_mixed_in_a_group():
    mine, other, ours, theirs = pair()
    for optimizer, parameters in ((mine, ours), (other, theirs)):
        extra = nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer.add_param_group({"params": [extra, nn.Parameter(torch.ones(3))], "lr": 0.5})
        parameters += optimizer.param_groups[-1]["params"]
    assert_same(*steps(mine, other, ours, theirs, range(5)))


def test_rates_may_change_between_steps():
    found = steps(*pair(), range(3))
    for optimizer in found[:2]:
        optimizer.param_groups[0]["lr"] = 0.5
    assert_same(*steps(*found, range(3, 6)))


def test_loaded_state_is_used():
    mine, other, ours, theirs = steps(*pair(), range(4))
    mine.load_state_dict(copy.deepcopy(other.state_dict()))
    assert_same(*steps(mine, other, ours, theirs, range(4, 8)))


def test_step_that_is_masked_changes_no_parameter():
    mine, other, ours, theirs = steps(*pair(), range(2))
    mine.found_inf = other.found_inf = torch.ones(())
    before = [p.detach().clone() for p in ours]
    assert_same(*steps(mine, other, ours, theirs, range(2, 3)))
    assert all(torch.equal(a, b) for a, b in zip(before, ours, strict=True))


def test_hooks_are_called_once_a_step():
    mine, *_, ours, _ = pair()
    calls = []
    mine.register_step_post_hook(lambda optimizer, args, kwargs: calls.append(1))
    ours[0].grad = torch.ones_like(ours[0])
    mine.step()
    assert calls == [1]


def test_sparse_gradient_is_refused():
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match="dense"):
        FusedAdamW(table.parameters(), fused=True).step()
