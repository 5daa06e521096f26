import pytest
import torch

from moola_train import Task, fit
from moola_train.batch_order import batch_order
from moola_train.shared_norms import SharedNorms


def test_norms_equal_each_tasks_own_backward_pass(small):
    data, model = small.data(inner=0), small.model(dropout=0.0)
    rows = batch_order(torch.arange(70), seed=3, epoch=1)[:8]
    batch, wanted = data.batch(rows), {}
    for task in small.tasks:
        model.zero_grad()
        known = batch.targets[task.target], batch.masks[task.target], batch.weight
        found = task.loss(model(batch.inputs)[task.head], *known)
        (found[0] / found[1]).backward()
        wanted[task.name] = float(torch.cat([p.grad.flatten() for p in model.trunk.parameters()]).norm())
    model.zero_grad()
    callbacks = [SharedNorms(["trunk.*"], every=1)]
    result = fit(model, data, small.tasks, small.balancer(), small.config(epochs=1), callbacks=callbacks)
    told = {r.task: r.value for r in result.records if r.name == "shared_gradient_norm"}
    assert told == pytest.approx(wanted, rel=1e-5)


def test_measuring_changes_nothing(small):
    plain, watched = small.model(), small.model()
    fit(plain, small.data(), small.tasks, small.balancer(), small.config())
    callbacks = [SharedNorms(["trunk.*"], every=2)]
    result = fit(watched, small.data(), small.tasks, small.balancer(), small.config(), callbacks=callbacks)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    assert [r.epoch for r in result.records if r.name == "shared_gradient_norm"] == [2, 2, 4, 4]


def test_task_that_reaches_nothing_shared_is_announced(small):
    def cut(output, target, mask, weight):
        return small.tasks[1].loss(output * 0, target, mask, weight)

    tasks = (small.tasks[0], Task("size", cut))
    callbacks = [SharedNorms(["trunk.*"], every=1)]
    with pytest.warns(RuntimeWarning, match="task 'size' is dead") as told:
        fit(small.model(), small.data(), tasks, None, small.config(), callbacks=callbacks)
    assert not [w for w in told if "kind" in str(w.message)]


def test_pattern_that_matches_nothing_is_refused(small):
    callbacks = [SharedNorms(["body.*"], every=1)]
    with pytest.raises(ValueError, match=r"got 'body\.\*'"):
        fit(small.model(), small.data(), small.tasks, None, small.config(), callbacks=callbacks)
    with pytest.raises(ValueError, match="want one or more patterns"):
        SharedNorms("trunk.*")
