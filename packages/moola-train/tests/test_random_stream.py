# ruff: noqa: NPY002 - the legacy global generator is what these tests watch
import random

import numpy as np
import pytest
import torch

from moola_train.random_stream import RandomStream

CPU = torch.device("cpu")


def draw():
    return torch.rand(3).tolist() + np.random.normal(size=3).tolist() + [random.gauss(0, 1), random.random()]


def test_stream_goes_on_from_a_saved_state():
    stream = RandomStream((4, 0), device=CPU)
    with stream.active():
        draw()
        saved = {name: tensor.clone() for name, tensor in stream.state().items()}
        wanted = draw()
    other = RandomStream((9, 9), device=CPU)
    other.load(saved)
    with other.active():
        assert draw() == wanted


def test_outer_generators_are_untouched():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    stream = RandomStream((4, 0), device=CPU)
    with stream.active():
        draw()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_inner_stream_does_not_disturb_the_outer_one():
    def drawn(nested):
        with RandomStream((4, 0), device=CPU).active():
            first = draw()
            if nested:
                with RandomStream((4, 1), device=CPU).active():
                    assert draw() != first
            return first + draw()

    assert drawn(nested=True) == drawn(nested=False)


def test_state_of_another_device_is_refused():
    with pytest.raises(ValueError, match="state: want the generators"):
        RandomStream((0,), device=CPU).load({"torch": torch.get_rng_state()})
