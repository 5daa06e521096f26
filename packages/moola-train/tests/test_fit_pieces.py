"""Batches in pieces, and half precision, through `fit`."""

import math

import pytest
import torch
from torch import nn

from moola_train import Task, fit


def by_name(result, name, *, task="", split="train"):
    return [r.value for r in result.records if (r.name, r.task, r.split) == (name, task, split)]


@pytest.mark.parametrize("piece", [3, 8, 40])
def test_micro_batches_give_the_gradient_of_the_whole_batch(small, piece):
    """In float64, with dropout off: only the order of additions differs."""

    def run(micro):
        model, data = small.model(dropout=0.0).double(), small.data()
        data.inputs, data.weight = data.inputs.double(), data.weight.double()
        data.targets["size"] = data.targets["size"].double()
        balancer = small.balancer().double()
        config = small.config(batch_size=29, micro_batch_size=micro, restore="last", clip_norm=1.0)
        result = fit(model, data, small.tasks, balancer, config)
        return result, torch.cat([p.detach().flatten() for m in (model, balancer) for p in m.parameters()])

    whole, pieces = run(None), run(piece)
    torch.testing.assert_close(whole[1], pieces[1], rtol=1e-9, atol=1e-12)
    for a, b in zip(whole[0].records, pieces[0].records, strict=True):
        if a.name != "epoch_time":
            assert a.value == pytest.approx(b.value, rel=1e-9)


def test_micro_batches_with_dropout_are_a_pure_function_of_the_seed(small):
    def run():
        model = small.model()
        fit(model, small.data(), small.tasks, None, small.config(batch_size=29, micro_batch_size=10))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(run(), run())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_close_to_full(small, precision):
    def run(kind):
        model = small.model(dropout=0.0)
        result = fit(model, small.data(), small.tasks, small.balancer(), small.config(precision=kind))
        return by_name(result, "loss", split="inner")

    half, full = run(precision), run("fp32")
    assert half == pytest.approx(full, rel=0.1)  # fp16 leaves out a step or two to find its scale
    assert half != full


def test_fp16_gradient_overflow_halves_the_scale_and_is_no_error(small):
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small.model(dropout=0.0)

        def forward(self, inputs):
            assert torch.is_autocast_enabled("cpu")
            return self.inner(inputs)

    def huge(output, target, mask, weight):
        total, count = small.tasks[1].loss(output, target, mask, weight)
        return 3e4 * total, count

    tasks = (small.tasks[0], Task("size", huge))
    result = fit(Steep(), small.data(), tasks, None, small.config(precision="fp16"))
    taken = [r.value for r in result.records if r.name == "gradient_norm"]
    assert all(value is None or math.isfinite(value) for value in taken)
    assert result.epochs == 4
