from abc import ABC, abstractmethod

import pytest
import torch
from torch import nn

from moola_train import Callback, Row, fit
from moola_train.balancing import needs_of, shared_parameters

SHARED = {"shared": ("trunk.*", "norm.*"), "restore": "last"}


def flat(*modules):
    return torch.cat([p.detach().flatten() for m in modules for p in m.parameters()])


class Scalar(nn.Module):
    """Weighs the losses, but as a gradient balancer would be asked to."""

    needs_shared = True

    def __init__(self, space="parameters"):
        super().__init__()
        self.space, self.asked = space, []

    def backward(self, losses, *, shared=None, scaler=None, retain_graph=False, representation=None):
        self.asked.append((shared, representation, sorted(losses)))
        total = sum(losses.values())
        (total if scaler is None else scaler.scale(total)).backward(retain_graph=retain_graph)
        return total.detach()


@pytest.mark.parametrize("space", ["parameters", "representation"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_gradient_balancer_that_only_adds_up_equals_the_plain_sum(small, space, precision):
    plain, model, config = small.model(), small.model(), small.config(precision=precision, **SHARED)
    fit(plain, small.data(), small.tasks, None, config)
    balancer = Scalar(space)
    result = fit(model, small.data(), small.tasks, balancer, config)
    torch.testing.assert_close(flat(model), flat(plain), rtol=1e-4, atol=1e-5)
    shared, representation, names = balancer.asked[0]
    assert names == ["kind", "size"]
    if space == "representation":
        assert shared is None
        assert representation.shape == (8, 8)
    else:
        assert {id(p) for p in shared} == {id(p) for m in (model.trunk, model.norm) for p in m.parameters()}
    told = {r.value for r in result.records if r.name == "coefficient"}
    assert told == {None}  # it has no coefficients to tell of: undefined, not 1


def test_configuration_chooses_the_space_of_a_balancer_that_can_do_both(small):
    balancer = Scalar("parameters")
    config = small.config(epochs=1, space="representation")
    fit(small.model(), small.data(), small.tasks, balancer, config)
    assert all(shared is None and z.shape[1] == 8 for shared, z, _ in balancer.asked)


def test_both_spaces_keep_tasks_from_opposing_and_tell_their_coefficients(small):
    for space in ("parameters", "representation"):
        balancer = small.dual(space=space)
        result = fit(small.model(), small.data(), small.tasks, balancer, small.config(**SHARED))
        told = [r.value for r in result.records if r.name == "coefficient" and r.task == "kind"]
        assert len(told) == 4
        assert all(value >= 1 for value in told)
        raw = [r.value for r in result.records if (r.name, r.task, r.split) == ("loss", "kind", "train")]
        weighted = [r.value for r in result.records if (r.name, r.task) == ("weighted", "kind")]
        assert len(weighted) == 4
        assert all(w > 0.9 * r for w, r in zip(weighted, raw, strict=True))


def test_weighted_loss_is_the_mean_over_steps_of_coefficient_times_loss(small):
    seen = []

    class Look(Callback):
        def on_backward(self, state):
            seen.append(
                float(torch.exp(-2 * state.balancer.log_sigma["size"].detach()) * state.losses["size"])
            )
            return ()

    config = small.config(epochs=1, balancer_learning_rate=0.1)
    result = fit(small.model(), small.data(), small.tasks, small.balancer(), config, callbacks=[Look()])
    (told,) = (r.value for r in result.records if (r.name, r.task) == ("weighted", "size"))
    assert told == pytest.approx(sum(seen) / len(seen), rel=1e-5)


def test_resume_with_a_gradient_balancer_is_bitwise(small, tmp_path):
    straight, again = small.model(), small.model(seed=9)
    fit(straight, small.data(), small.tasks, small.dual(), small.config(**SHARED))
    for model, epochs in ((small.model(), 2), (again, 4)):
        config = small.config(epochs=epochs, **SHARED)
        resume = epochs == 4
        fit(model, small.data(), small.tasks, small.dual(), config, folder=tmp_path / "run", resume=resume)
    assert torch.equal(flat(again), flat(straight))


def test_absent_task_is_not_shown_to_a_gradient_balancer(small):
    data = small.data(inner=0)
    data.masks["size"] = torch.arange(70) == 0
    balancer = Scalar()
    fit(small.model(), data, small.tasks, balancer, small.config(epochs=1, **SHARED))
    assert [len(names) for *_, names in balancer.asked].count(2) == 1


def test_pieces_of_a_batch_are_refused_for_a_gradient_balancer(small):
    config = small.config(micro_batch_size=4, **SHARED)
    with pytest.raises(ValueError, match=r"micro_batch_size: want None with Scalar.* got 4"):
        fit(small.model(), small.data(), small.tasks, Scalar(), config)


def test_model_that_cannot_be_cut_is_refused(small):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small.model()

        def forward(self, inputs):
            return self.inner(inputs)

    with pytest.raises(ValueError, match="want methods encode and heads for Scalar"):
        fit(Whole(), small.data(), small.tasks, Scalar("representation"), small.config())
    with pytest.raises(ValueError, match="shared: want patterns that name"):
        fit(Whole(), small.data(), small.tasks, Scalar(), small.config())


def test_without_patterns_what_encode_uses_is_shared(small):
    model = small.model()
    found = shared_parameters(model, (), torch.randn(2, 5, generator=torch.Generator()))
    assert {id(p) for p in found} == {id(p) for m in (model.trunk, model.norm) for p in m.parameters()}
    assert all(p.grad is None for p in model.parameters())


def test_pattern_that_names_nothing_shared_is_refused(small):
    with pytest.raises(ValueError, match=r"shared: want a pattern that matches one of .* got 'body"):
        shared_parameters(small.model(), ("trunk.*", "body.*"), torch.zeros(2, 5))


class Abstract(nn.Module, ABC):
    @abstractmethod
    def forward(self, losses): ...

    def after_step(self, losses):
        raise AssertionError("a blank of the abstract class")

    def epoch_end(self):
        raise AssertionError("a blank of the abstract class")


class Quiet(Abstract):
    def forward(self, losses):
        return sum(losses.values())


class Hooked(Quiet):
    def __init__(self):
        super().__init__()
        self.register_buffer("after", torch.zeros(2))
        self.register_buffer("epochs", torch.zeros(()))
        self.seen = []

    def forward(self, losses):
        self.before = [float(v.detach()) for v in losses.values()]
        return super().forward(losses)

    def after_step(self, losses):
        self.seen.append((self.before, [float(v) for v in losses.values()]))
        self.after += torch.stack(tuple(losses.values()))

    def epoch_end(self):
        self.epochs += 1


def test_blank_hooks_of_an_abstract_class_are_not_called(small):
    fit(small.model(), small.data(), small.tasks, Quiet(), small.config(epochs=1))
    assert needs_of(Hooked()).after_step
    assert not needs_of(small.balancer()).epoch_end


class Memory(Hooked):
    """Its buffer has no size before the first step."""

    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.zeros(2, 0))

    def forward(self, losses):
        self.rows = torch.ones(2, 5) if self.rows.numel() == 0 else self.rows + 1
        return super().forward(losses)

    def _load_from_state_dict(self, state, prefix, *rest):
        self.rows = torch.zeros_like(state[f"{prefix}rows"])
        super()._load_from_state_dict(state, prefix, *rest)


def test_memory_that_the_first_step_sized_is_resumed(small, tmp_path):
    for epochs in (1, 3):
        balancer = Memory()
        config = small.config(epochs=epochs)
        fit(small.model(), small.data(), small.tasks, balancer, config, folder=tmp_path, resume=epochs == 3)
    assert torch.equal(balancer.rows, torch.full((2, 5), 21.0))


def test_total_without_gradient_is_refused(small):
    class Flat(Quiet):
        def forward(self, losses):
            return sum(losses.values()).detach()

    with pytest.raises(ValueError, match="want a total that depends on the losses"):
        fit(small.model(), small.data(), small.tasks, Flat(), small.config(epochs=1))


def test_a_balancer_may_decline_the_losses_after_the_step(small):
    balancer = Hooked()
    balancer.wants_after_step = False
    fit(small.model(), small.data(), small.tasks, balancer, small.config(epochs=1))
    assert balancer.seen == []
    assert float(balancer.epochs) == 1


def test_hooks_get_the_same_batch_after_the_step_and_the_end_of_epochs(small):
    balancer = Hooked()
    config = small.config(learning_rate=0.001, weight_decay=0)
    fit(small.model(dropout=0.0), small.data(), small.tasks, balancer, config)
    assert float(balancer.epochs) == 4
    assert len(balancer.seen) == 28
    assert all(sum(after) < sum(before) for before, after in balancer.seen)  # one small step downhill


def test_state_of_hooks_is_resumed_bitwise(small, tmp_path):
    straight = Hooked()
    fit(small.model(), small.data(), small.tasks, straight, small.config())
    for epochs in (2, 4):
        balancer = Hooked()
        config = small.config(epochs=epochs)
        fit(small.model(), small.data(), small.tasks, balancer, config, folder=tmp_path, resume=epochs == 4)
    assert torch.equal(balancer.after, straight.after)
    assert torch.equal(balancer.epochs, straight.epochs)


def test_batch_norm_in_pieces_is_announced(small):
    model = small.model()
    model.norm = nn.BatchNorm1d(8)
    with pytest.warns(RuntimeWarning, match="micro_batch_size: 'norm' normalises over"):
        fit(model, small.data(), small.tasks, None, small.config(micro_batch_size=4, epochs=1))


def test_callback_sees_the_losses_with_their_graph_and_disturbs_nothing(small):
    class Shared(Callback):
        def watches(self, epoch, batch):
            return batch == 1

        def on_forward(self, state):
            weight = state.model.trunk.weight
            rows = []
            for task, loss in state.losses.items():
                (slope,) = torch.autograd.grad(loss, weight, retain_graph=True)
                rows.append(Row(task, "shared_norm", slope.norm()))
            return rows

    plain, watched = small.model(), small.model()
    fit(plain, small.data(), small.tasks, small.balancer(), small.config())
    result = fit(watched, small.data(), small.tasks, small.balancer(), small.config(), callbacks=[Shared()])
    assert torch.equal(flat(plain), flat(watched))
    assert [r.step for r in result.records if r.name == "shared_norm"] == [1, 1, 8, 8, 15, 15, 22, 22]
