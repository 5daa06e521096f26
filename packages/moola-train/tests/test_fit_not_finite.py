"""What a run does with numbers that are not finite."""

import math

import pytest
import torch
from torch import nn

from moola_train import Callback, Task, fit
from moola_train.batch_order import batch_order


def by_name(result, name, *, task="", split="train"):
    return [r.value for r in result.records if (r.name, r.task, r.split) == (name, task, split)]


@pytest.mark.parametrize("check", ["step", "epoch"])
def test_nan_loss_names_task_step_and_rows_and_keeps_the_weights(small, check):
    data, model, good = small.data(), small.model(), []

    class Poisoned(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = model, 0

        def forward(self, inputs):
            self.calls += self.training
            if self.calls == 10:
                good.extend(p.detach().clone() for p in model.parameters())
            outputs = self.inner(inputs)
            return {**outputs, "size": outputs["size"] * (math.nan if self.calls == 10 else 1)}

    rows = batch_order(torch.arange(56), seed=3, epoch=2)[16:24].tolist()
    with pytest.raises(FloatingPointError, match="task 'size' is nan") as error:
        fit(Poisoned(), data, small.tasks, None, small.config(non_finite_check=check))
    assert "step 10 (epoch 2, batch 3)" in str(error.value)
    assert f"rows {rows}" in str(error.value)
    assert "'kind'" not in str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(good, model.parameters(), strict=True))


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_skipped_steps_are_counted_and_leave_everything_as_it_was(small, where):
    """Skipping step 10 of 14 equals a run whose optimiser did nothing at that step."""

    def run(bad):
        model = small.model(dropout=0.0)

        class Poison(Callback):
            def on_backward(self, state):
                if bad == "gradient" and state.step == 10:
                    next(model.parameters()).grad.fill_(math.nan)
                return ()

        class Sometimes(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner, self.calls = model, 0

            def forward(self, inputs):
                self.calls += self.training
                poison = math.nan if bad == "loss" and self.calls == 10 else 1
                return {name: output * poison for name, output in self.inner(inputs).items()}

        config = small.config(epochs=2, non_finite="skip", restore="last")
        result = fit(Sometimes(), small.data(), small.tasks, None, config, callbacks=[Poison()])
        return result, torch.cat([p.detach().flatten() for p in model.parameters()])

    result, weights = run(where)
    assert by_name(result, "skipped_steps") == [0, 1]
    assert by_name(result, "coefficient", task="size") == [1, 1]
    assert weights.isfinite().all()
    assert not torch.equal(weights, run("nothing")[1])


def test_infinite_gradient_of_a_finite_loss_names_its_task(small):
    def root(output, target, mask, weight):
        # The slope of a square root is infinite at 0, its value is not.
        return ((output - output.detach()).abs().sum()).sqrt(), weight.sum()

    tasks = (small.tasks[0], Task("size", root))
    with pytest.raises(FloatingPointError, match="task: 'size'"):
        fit(small.model(dropout=0.0), small.data(), tasks, None, small.config())


def test_balancer_that_diverges_is_named(small):
    class Wild(nn.Module):
        def forward(self, losses):
            return sum(losses.values()) * math.inf

    with pytest.raises(FloatingPointError, match="balancer's coefficients"):
        fit(small.model(), small.data(), small.tasks, Wild(), small.config())
