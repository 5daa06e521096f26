"""What surrounds a CUDA graph, with a recorder that needs no GPU; the graph itself where there is one."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from moola_train import Callback, Task, fit
from moola_train.batch_order import batch_order
from moola_train.run import Run
from moola_train.step_graph import StepGraph, why_not


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Tape:
    """Replays by calling the body again; remembers how often."""

    def __init__(self, *, fails=False):
        self.replays, self.recorded, self.fails = 0, 0, fails

    def __call__(self, body):
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        self.recorded += 1

        def replay():
            self.replays += 1
            body()

        return replay


@pytest.fixture
def tape(monkeypatch):
    used = Tape()

    def graph(self):
        return StepGraph(self.training, self.data, size=self.config.batch_size, record=used)

    monkeypatch.setattr(Run, "_graph", graph)
    return used


def everywhere_known(small):
    data = small.data()
    data.masks["size"] = torch.ones(70, dtype=torch.bool)
    return data


SETTINGS = {"non_finite_check": "epoch", "batch_size": 16, "restore": "last"}


def test_recorded_steps_with_a_filled_up_last_batch_equal_eager_ones(small, tape):
    graphed, eager = small.model(dropout=0.0), small.model(dropout=0.0)
    fit(graphed, everywhere_known(small), small.tasks, small.balancer(), small.config(**SETTINGS))
    assert (tape.recorded, tape.replays) == (1, 4 * 4 - 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_graph", lambda self: None)
        fit(eager, everywhere_known(small), small.tasks, small.balancer(), small.config(**SETTINGS))
    torch.testing.assert_close(flat(graphed), flat(eager), rtol=1e-4, atol=1e-6)


def test_watched_steps_and_batches_without_a_task_are_taken_eagerly(small, tape):
    class Third(Callback):
        def watches(self, epoch, batch):
            return batch == 3

        def on_backward(self, state):
            assert state.model.trunk.weight.grad is not None
            return ()

    data = everywhere_known(small)
    data.masks["size"][batch_order(torch.arange(56), seed=3, epoch=4)[48:]] = False
    fit(small.model(), data, small.tasks, None, small.config(**SETTINGS), callbacks=[Third()])
    assert tape.replays == 4 * 3 - 3 - 1  # 3 warm up, 4 are watched, one knows nothing of a task


def test_bad_step_inside_a_recorded_run_is_named(small, tape):
    """From the sixth batch on the loss is not finite: the first bad step is named, not the last."""
    calls = torch.zeros(())

    def fragile(output, target, mask, weight):
        total, count = small.tasks[1].loss(output, target, mask, weight)
        calls.add_(output.requires_grad)
        return torch.where(calls >= 6, math.nan, total), count

    rows = batch_order(torch.arange(56), seed=3, epoch=2)[16:32].tolist()
    tasks = (small.tasks[0], Task("size", fragile))
    with pytest.raises(FloatingPointError, match="'size' is nan") as error:
        fit(small.model(), everywhere_known(small), tasks, None, small.config(**SETTINGS))
    assert "step 6 (epoch 2, batch 2)" in str(error.value)
    assert f"rows {rows}" in str(error.value)


def test_step_that_cannot_be_recorded_is_announced_and_taken_eagerly(small, tape):
    tape.fails = True
    model, plain = small.model(dropout=0.0), small.model(dropout=0.0)
    config = small.config(**SETTINGS)
    with pytest.warns(RuntimeWarning, match="taken eagerly .operation not permitted") as told:
        fit(model, everywhere_known(small), small.tasks, None, config)
    assert len(told) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_graph", lambda self: None)
        fit(plain, everywhere_known(small), small.tasks, None, config)
    torch.testing.assert_close(flat(model), flat(plain), rtol=1e-4, atol=1e-6)


def test_reasons_against_recording_are_told(small, monkeypatch):
    reasons = {}

    def graph(self):
        reasons[len(reasons)] = why_not(self.training, self.data)

    monkeypatch.setattr(Run, "_graph", graph)
    for change in ({}, {"micro_batch_size": 4} | SETTINGS, SETTINGS):
        fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1, **change))
    config = small.config(epochs=1, shared=("trunk.*",), **SETTINGS)
    fit(small.model(), small.data(), small.tasks, small.dual(), config)
    assert "read at once" in reasons[0]
    assert "pieces" in reasons[1]
    assert reasons[2] == ""
    assert "DualCone goes backward by itself" in reasons[3]


class Reads(TorchDispatchMode):
    """Counts how often a number is read from a tensor: what a GPU would have to be waited for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket.__name__ in (
            "_local_scalar_dense",
            "is_nonzero",
            "equal",
            "nonzero",
        )
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_number_of_reads_in_an_epoch_does_not_depend_on_its_steps(small, precision, monkeypatch):
    """Nothing is read inside an epoch: 14 steps read as often as 2."""
    lists = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: lists.append(1) or tolist(self))

    def reads(batch_size, check="epoch"):
        config = small.config(
            epochs=2, batch_size=batch_size, non_finite_check=check, precision=precision, clip_norm=1.0
        )
        lists.clear()
        with Reads() as counter:
            fit(small.model(), everywhere_known(small), small.tasks, small.balancer(), config)
        return counter.count + len(lists)

    assert reads(4) == reads(28)
    assert reads(4, check="step") > reads(28, check="step")


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_replay_equals_eager_bitwise_in_deterministic_mode(small, precision):
    def run(graph):
        model = small.model().cuda()
        settings = SETTINGS | {
            "device": "cuda",
            "graph": graph,
            "deterministic": True,
            "precision": precision,
        }
        result = fit(model, everywhere_known(small), small.tasks, small.balancer(), small.config(**settings))
        return flat(model), result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StepGraph, "_try_to_record", lambda self: None)
        eager, _ = run("auto")
    graphed, result = run("auto")
    assert torch.equal(eager, graphed)
    assert graphed.isfinite().all()
    assert result.epochs == 4


@pytest.mark.cuda
@pytest.mark.parametrize("graph", ["auto", "off"])
def test_no_wait_for_the_device_inside_an_epoch(small, graph, monkeypatch):
    train_epoch = Run._train_epoch

    def watched(self):
        if self.training.epoch == 0:
            return train_epoch(self)  # warm-up and recording may wait
        torch.cuda.set_sync_debug_mode("error")
        try:
            return train_epoch(self)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Run, "_train_epoch", watched)
    config = small.config(**(SETTINGS | {"device": "cuda", "graph": graph}))
    result = fit(small.model(), everywhere_known(small), small.tasks, small.balancer(), config)
    assert result.epochs == 4
