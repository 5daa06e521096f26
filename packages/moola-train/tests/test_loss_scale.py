import pytest
import torch

from moola_train.loss_scale import LossScale

CPU = torch.device("cpu")


def test_scale_halves_at_overflow_and_doubles_after_its_patience():
    scale = LossScale(device=CPU, start=8.0, patience=3)
    values = []
    for norm in (1.0, torch.inf, 1.0, 1.0, 1.0, torch.nan):
        scale.update(torch.tensor(norm))
        values.append(float(scale.value))
    assert values == [8, 4, 4, 4, 8, 4]


def test_overflow_is_flagged_for_that_step_only():
    scale = LossScale(device=CPU)
    assert bool(scale.update(torch.tensor(torch.inf)))
    assert scale.overflow == 1
    assert not bool(scale.update(torch.tensor(1.0)))
    assert scale.overflow == 0


def test_state_goes_on_where_it_was():
    scale, other = (LossScale(device=CPU, start=8.0, patience=3) for _ in range(2))
    scale.update(torch.tensor(1.0))
    scale.update(torch.tensor(1.0))
    other.load(scale.state())
    other.update(torch.tensor(1.0))
    assert other.value == 16


def test_scale_that_falls_for_ever_is_an_error():
    scale = LossScale(device=CPU, start=2.0**-13)
    scale.check()
    for _ in range(2):
        scale.update(torch.tensor(torch.inf))
    with pytest.raises(FloatingPointError, match="precision: want gradients that fit 16 bits"):
        scale.check()
