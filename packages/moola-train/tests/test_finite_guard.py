import pytest
import torch

from moola_train.finite_guard import FiniteGuard, Numbers


def numbers(loss=1.0, coefficient=1.0, norm=1.0):
    return Numbers(torch.tensor([2.0, loss]), torch.tensor([coefficient, 1.0]), torch.tensor(norm))


def test_finite_numbers_leave_the_mask_open():
    guard = FiniteGuard(2, device=torch.device("cpu"))
    for _ in range(5):
        guard.watch(numbers())
    assert guard.mask == 0
    assert guard.read() is None


@pytest.mark.parametrize("bad", [{"loss": torch.nan}, {"coefficient": torch.inf}, {"norm": -torch.inf}])
def test_first_bad_batch_is_remembered_with_its_numbers_and_the_mask_stays(bad):
    guard = FiniteGuard(2, device=torch.device("cpu"))
    guard.watch(numbers())
    guard.watch(numbers(**bad))
    guard.watch(numbers())
    guard.watch(numbers(loss=torch.nan, norm=7.0))
    assert guard.mask == 1
    batch, first = guard.read()
    assert batch == 2
    assert torch.equal(first.flat().nan_to_num(), numbers(**bad).flat().nan_to_num())


def test_count_starts_anew_after_a_reading():
    guard = FiniteGuard(2, device=torch.device("cpu"))
    guard.watch(numbers())
    guard.read()
    guard.watch(numbers())
    guard.watch(numbers(loss=torch.nan))
    assert guard.read()[0] == 2
