"""The loop as a whole."""

import math

import pytest
import torch
from torch import nn

from moola_train import Callback, Examples, FitConfig, Row, Task, fit
from moola_train.batch_order import batch_order
from moola_train.fused_adamw import FusedAdamW
from moola_train.parameter_groups import BALANCER_LEARNING_RATE
from moola_train.protocols import EpochState, StepState


def by_name(result, name, *, task="", split="train"):
    return [r.value for r in result.records if (r.name, r.task, r.split) == (name, task, split)]


def test_weights_and_records_equal_a_slow_hand_written_loop(small):
    """One reference for all: order, losses, balancer, AdamW, sums over examples, evaluation."""
    data, config = small.data(), small.config(epochs=3, restore="last", weight_decay=0.1)
    model, balancer = small.model(dropout=0.0), small.balancer()
    result = fit(model, data, small.tasks, balancer, config)

    twin, sigma = small.model(dropout=0.0), torch.zeros(2, requires_grad=True)
    weights = [p for n, p in twin.named_parameters() if p.ndim == 2]
    others = [p for n, p in twin.named_parameters() if p.ndim < 2]
    rate = config.learning_rate
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "lr": rate, "weight_decay": 0.1},
            {"params": others, "lr": rate, "weight_decay": 0.0},
            {"params": [sigma], "lr": BALANCER_LEARNING_RATE, "weight_decay": 0.0},
        ],
        foreach=False,
    )
    train, inner = torch.arange(56), torch.arange(56, 70)
    for epoch in (1, 2, 3):
        sums, counts, coefficients = torch.zeros(2), torch.zeros(2), torch.zeros(2)
        order = batch_order(train, seed=config.seed, epoch=epoch)
        for start in range(0, 56, 8):
            index = order[start : start + 8]
            outputs = twin(data.inputs[index])
            pairs = [
                t.loss(
                    outputs[t.head],
                    data.targets[t.target][index],
                    data.masks[t.target][index],
                    data.weight[index],
                )
                for t in small.tasks
            ]
            losses = torch.stack([s / w for s, w in pairs])
            optimizer.zero_grad()
            (torch.exp(-2 * sigma) * losses + sigma).sum().backward()
            coefficients += torch.exp(-2 * sigma.detach())
            optimizer.step()
            sums += torch.stack([s.detach() for s, _ in pairs])
            counts += torch.stack([w for _, w in pairs])
        with torch.no_grad():
            outputs = twin(data.inputs[inner])
            evaluated = [
                t.loss(
                    outputs[t.head],
                    data.targets[t.target][inner],
                    data.masks[t.target][inner],
                    data.weight[inner],
                )
                for t in small.tasks
            ]
        for i, task in enumerate(small.tasks):
            close = {"rel": 1e-4}
            assert by_name(result, "loss", task=task.name)[epoch - 1] == pytest.approx(
                float(sums[i] / counts[i]), **close
            )
            inner_loss = float(evaluated[i][0] / evaluated[i][1])
            found = by_name(result, "loss", task=task.name, split="inner")[epoch - 1]
            assert found == pytest.approx(inner_loss, **close)
            coefficient = float(coefficients[i] / 7)
            assert by_name(result, "coefficient", task=task.name)[epoch - 1] == pytest.approx(
                coefficient, **close
            )
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(balancer.parameters(), sigma, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_epoch_loss_is_summed_over_examples_not_over_batches(small):
    """Of a model that stands still, an epoch has the loss of the whole part, however it is batched."""
    data = small.data(inner=0)
    values = {}
    for size in (8, 29, 56, 70):
        model = small.model(dropout=0.0)
        config = small.config(epochs=1, batch_size=size, learning_rate=1e-12, weight_decay=0)
        result = fit(model, data, small.tasks, None, config)
        values[size] = by_name(result, "loss", task="size")[0]
    assert values[8] == pytest.approx(values[70], rel=1e-6)
    assert values[29] == pytest.approx(values[70], rel=1e-6)


def test_same_seed_gives_the_same_bits_and_another_seed_others(small):
    def weights(seed):
        model = small.model()
        fit(model, small.data(), small.tasks, small.balancer(), small.config(seed=seed))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_training_draws_nothing_from_and_leaves_alone_the_global_generator(small):
    before = torch.get_rng_state()
    fit(small.model(), small.data(), small.tasks, None, small.config(epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_callbacks_that_draw_random_numbers_change_nothing(small):
    class Noisy(Callback):
        def on_epoch_end(self, state):
            return [Row("", "noise", float(torch.rand(())))]

    plain, noisy = small.model(), small.model()
    fit(plain, small.data(), small.tasks, None, small.config())
    result = fit(noisy, small.data(), small.tasks, None, small.config(), callbacks=[Noisy()])
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), noisy.parameters(), strict=True))
    assert len(set(by_name(result, "noise"))) == 4


def test_callbacks_are_called_in_order_and_see_the_rows_of_earlier_ones(small):
    calls = []

    class Watch(Callback):
        def __init__(self, name):
            self.name = name

        def on_backward(self, state: StepState):
            assert all(p.grad is not None for p in state.model.parameters())
            assert state.model.training
            calls.append((self.name, "backward", state.epoch, state.step, state.batch))
            return [Row("", f"step/{self.name}", state.losses["size"])] if state.batch == 1 else []

        def on_epoch_end(self, state: EpochState):
            assert not state.model.training
            assert not torch.is_grad_enabled()
            calls.append((self.name, "epoch", state.epoch, state.step, None))
            if self.name == "b":
                assert any(r.name == "epoch/a" for r in state.records)
            assert any(r.name == "step/b" for r in state.records)
            assert any(r.name == "epoch_time" for r in state.records)
            return [Row("", f"epoch/{self.name}", state.epoch)]

    config = small.config(epochs=2, batch_size=28)
    result = fit(small.model(), small.data(), small.tasks, None, config, callbacks=[Watch("a"), Watch("b")])
    one_epoch = [(n, "backward", 1, s, s) for s in (1, 2) for n in "ab"] + [
        (n, "epoch", 1, 2, None) for n in "ab"
    ]
    two = [(n, "backward", 2, s, s - 2) for s in (3, 4) for n in "ab"] + [
        (n, "epoch", 2, 4, None) for n in "ab"
    ]
    assert calls == one_epoch + two
    assert [r.step for r in result.records if r.name == "step/a"] == [1, 3]
    assert by_name(result, "epoch/b") == [1, 2]


def test_best_weights_are_restored_and_last_on_request(small):
    scores = {1: 0.2, 2: 0.9, 3: 0.9, 4: 0.1}
    seen = {}

    def run(restore):
        model = small.model()
        epochs = iter(scores)

        def select(measured, split):
            epoch = next(epochs)
            seen[epoch] = torch.cat([p.detach().flatten() for p in measured.parameters()])
            assert split == "inner"
            return {"skill": scores[epoch]}

        config = small.config(selection="skill", mode="max", restore=restore)
        result = fit(model, small.data(), small.tasks, None, config, select=select)
        return result, torch.cat([p.detach().flatten() for p in model.parameters()])

    result, weights = run("best")
    assert (result.best_epoch, result.best_value) == (2, 0.9)
    assert torch.equal(weights, seen[2])
    assert torch.equal(run("last")[1], seen[4])
    assert by_name(result, "skill", split="inner") == list(scores.values())


def test_undefined_selection_value_is_never_best(small):
    values = iter([math.nan, 0.5, math.nan, 0.7])
    config = small.config(selection="skill", mode="max", epochs=4)
    result = fit(
        small.model(), small.data(), small.tasks, None, config, select=lambda m, s: {"skill": next(values)}
    )
    assert (result.best_epoch, result.best_value) == (4, 0.7)
    assert by_name(result, "skill", split="inner") == [None, 0.5, None, 0.7]


def test_patience_stops_after_epochs_without_a_better_value(small):
    values = iter([3.0, 2.0, 2.5, 2.0, 1.0])
    config = small.config(selection="x", patience=2, epochs=5)
    result = fit(
        small.model(), small.data(), small.tasks, None, config, select=lambda m, s: {"x": next(values)}
    )
    assert (result.epochs, result.stopped, result.best_epoch) == (4, "patience", 2)


def test_clipping_covers_model_and_balancer_together(small):
    class Slope(Callback):
        def on_backward(self, state):
            parameters = [*state.model.parameters(), *state.balancer.parameters()]
            norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
            original.append(float(norm))
            return ()

    original, clipped = [], []
    step = FusedAdamW.step

    def spy(self, closure=None):
        clipped.append(
            float(torch.cat([p.grad.flatten() for g in self.param_groups for p in g["params"]]).norm())
        )
        return step(self, closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FusedAdamW, "step", spy)
        config = small.config(epochs=1, clip_norm=0.05)
        result = fit(small.model(), small.data(), small.tasks, small.balancer(), config, callbacks=[Slope()])
    assert min(original) > 0.05
    assert max(clipped) == pytest.approx(0.05, rel=1e-4)
    assert by_name(result, "gradient_norm")[0] == pytest.approx(sum(original) / len(original), rel=1e-5)


def test_targets_reach_a_model_whose_forward_takes_them(small):
    seen = []

    class Structured(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small.model()

        def forward(self, inputs, targets=None):
            seen.append(sorted(targets))
            return self.inner(inputs)

    fit(Structured(), small.data(), small.tasks, None, small.config(epochs=1))
    assert all(names == ["kind", "size"] for names in seen)


def test_task_unknown_in_a_batch_is_not_shown_to_the_balancer(small):
    data, shown = small.data(inner=0), []
    data.masks["size"] = torch.arange(70) == 0

    class Watch(nn.Module):
        def forward(self, losses):
            shown.append(sorted(losses))
            return sum(losses.values())

    result = fit(small.model(), data, small.tasks, Watch(), small.config(epochs=1))
    assert shown.count(["kind", "size"]) == 1
    assert shown.count(["kind"]) == 8
    assert by_name(result, "loss", task="size")[0] > 0


def test_batch_in_which_nothing_is_known_takes_no_step(small):
    data, calls = small.data(inner=0), []
    known = torch.arange(70) < 8
    data.masks = {"kind": known, "size": known}

    class Watch(Callback):
        def on_backward(self, state):
            calls.append(state.step)
            return ()

    config = small.config(epochs=1, batch_size=1)
    result = fit(small.model(), data, small.tasks, None, config, callbacks=[Watch()])
    assert (len(calls), result.steps) == (8, 70)
    assert by_name(result, "coefficient", task="kind") == [1]


def test_averaged_weights_are_evaluated_and_kept_while_raw_ones_train(small):
    raw, seen = [], []

    class Keep(Callback):
        def on_backward(self, state):
            raw.append(torch.cat([p.detach().flatten() for p in state.model.parameters()]).clone())
            return ()

        def on_epoch_end(self, state):
            seen.append(torch.cat([p.detach().flatten() for p in state.model.parameters()]).clone())
            return ()

    model = small.model()
    config = small.config(epochs=3, averaging={"decay": 1.0, "from_epoch": 2}, restore="last")
    fit(model, small.data(), small.tasks, None, config, callbacks=[Keep()])
    # raw[i] holds the weights before step i + 1; seven steps an epoch; averaging starts with step 8.
    torch.testing.assert_close(seen[0], raw[7], rtol=0, atol=0)
    torch.testing.assert_close(seen[1], torch.stack(raw[8:15]).mean(0))
    plain = small.model()
    fit(plain, small.data(), small.tasks, None, small.config(epochs=3, restore="last"))
    last = torch.cat([p.detach().flatten() for p in plain.parameters()])
    torch.testing.assert_close(seen[2], torch.stack([*raw[8:], last]).mean(0))
    torch.testing.assert_close(torch.cat([p.detach().flatten() for p in model.parameters()]), seen[2])


def test_without_an_inner_part_there_is_no_best(small):
    result = fit(small.model(), small.data(inner=0), small.tasks, None, small.config(epochs=1))
    assert result.best_epoch is None
    assert not [r for r in result.records if r.split == "inner"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patience": 3}, "patience: want an inner part"),
        ({"selection": "skill"}, "selection: want `select`"),
    ],
)
def test_settings_that_need_what_is_not_there_are_refused(small, change, message):
    with pytest.raises(ValueError, match=message):
        fit(small.model(), small.data(inner=0), small.tasks, None, small.config(**change))


def test_selection_name_that_select_does_not_return_is_refused(small):
    config = small.config(selection="skill")
    with pytest.raises(ValueError, match=r"selection: want one of \['f1', 'loss'\], got 'skill'"):
        fit(small.model(), small.data(), small.tasks, None, config, select=lambda m, s: {"f1": 0.0})


def test_missing_head_is_named(small):
    tasks = (Task("kind", small.tasks[0].loss, head="type"),)
    with pytest.raises(ValueError, match=r"output 'type' of the model.*\['kind', 'size'\]"):
        fit(small.model(), small.data(), tasks, None, small.config())


def test_same_task_twice_is_refused(small):
    with pytest.raises(ValueError, match="different names"):
        fit(small.model(), small.data(), [small.tasks[0]] * 2, None, small.config())


def test_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="learning_rat"):
        FitConfig(learning_rat=1.0)


def test_data_without_split_is_all_train(small):
    class Bare:
        def __init__(self, examples):
            self.examples = examples

        def __len__(self):
            return len(self.examples)

        def batch(self, index):
            return self.examples.batch(index)

    result = fit(small.model(), Bare(small.data()), small.tasks, None, small.config(epochs=1))
    assert result.steps == 9


def test_a_users_own_model_with_two_invented_tasks_learns():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(3, 16)
            self.colour = nn.Linear(16, 2)
            self.mass = nn.Linear(16, 1)

        def forward(self, inputs):
            z = torch.relu(self.body(inputs))
            return {"colour": self.colour(z), "mass": self.mass(z).squeeze(-1)}

    def entropy(output, target, mask, weight):
        each = nn.functional.cross_entropy(output, target, reduction="none") * mask * weight
        return each.sum(), (mask * weight).sum()

    def squared(output, target, mask, weight):
        return ((output - target) ** 2 * mask * weight).sum(), (mask * weight).sum()

    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=g)
    split = (torch.arange(200) >= 150).to(torch.int8)
    data = Examples(x, targets={"colour": (x[:, 0] > 0).long(), "mass": x[:, 1]}, split=split)
    tasks = [Task("colour", entropy, classes=2), Task("mass", squared)]
    torch.manual_seed(0)
    result = fit(Own(), data, tasks, None, FitConfig(epochs=30, learning_rate=0.01, device="cpu"))
    first, last = (by_name(result, "loss", split="inner")[i] for i in (0, -1))
    assert last < 0.3 * first
