import pytest
import torch
from torch import nn

from moola_train import Task
from moola_train.elementwise import Elementwise

F = nn.functional


def test_the_quotient_is_the_weighted_mean_over_known_elements():
    torch.manual_seed(0)
    output, target = torch.randn(5, 3), torch.randn(5, 3)
    mask, weight = torch.rand(5, 3) > 0.4, torch.rand(5)
    total, share = Elementwise(F.huber_loss, delta=0.5)(output, target, mask, weight)
    each = [
        (weight[i] * F.huber_loss(output[i, j], target[i, j], delta=0.5), weight[i])
        for i in range(5)
        for j in range(3)
        if mask[i, j]
    ]
    torch.testing.assert_close(total / share, sum(a for a, _ in each) / sum(b for _, b in each))


@pytest.mark.parametrize("shape", [(4,), (4, 6)])
def test_a_mask_a_row_counts_for_all_its_elements(shape):
    output, target = torch.randn(shape), torch.randn(shape)
    rows = torch.tensor([True, False, True, True])
    found = Elementwise(F.mse_loss)(output, target, rows, torch.ones(4))
    torch.testing.assert_close(found[0] / found[1], F.mse_loss(output[rows], target[rows]))


def test_labels_are_one_a_row():
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    total, share = Elementwise(F.cross_entropy)(logits, labels, torch.ones(6, dtype=bool), torch.ones(6))
    torch.testing.assert_close(total / share, F.cross_entropy(logits, labels))


def test_nothing_of_an_unknown_target_reaches_loss_or_gradient():
    output = torch.ones(2, requires_grad=True)
    target = torch.tensor([2.0, float("nan")])
    total, _ = Elementwise(F.mse_loss)(output, target, torch.tensor([True, False]), torch.ones(2))
    total.backward()
    assert total.item() == 1
    assert output.grad[0] == -2


def test_losses_that_add_up_by_themselves_are_refused():
    with pytest.raises(TypeError, match=r"loss: want a function such as .*mse_loss"):
        Elementwise(nn.MSELoss())
    with pytest.raises(ValueError, match=r"a number an element of the target, \[2, 3\], got \[2\]"):
        Elementwise(lambda o, t, reduction: (o - t).sum(-1))(
            torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, dtype=bool), torch.ones(2)
        )


def test_a_task_names_the_way_out_when_given_a_module_of_torch():
    with pytest.raises(TypeError, match="Elementwise"):
        Task("height", nn.MSELoss())
