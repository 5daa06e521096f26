"""`check_balancer` holds for every kind, and finds each of a dozen planted faults by name."""

import random
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from moola_losses import BalancerConfig, Static, resolve_balancer
from moola_losses.claims import Claims
from moola_losses.ema_loss import EMALoss, EMALossConfig
from moola_losses.registry import BUILT_IN
from moola_losses.static import StaticConfig
from moola_losses.testing import TASKS, check_balancer

VARIANTS = [
    {"kind": "static", "weights": {"span": 0.5}, "floors": {"span": -1.0}, "preferences": {"type": 3.0}},
    {"kind": "unit", "norms": dict(zip(TASKS, (1.0, 0.02, 0.3, 2.0), strict=True))},
    {"kind": "unit", "probe": 2},
    {"kind": "initial_loss", "first": 3, "normalise": "mean1"},
    {"kind": "ema_loss", "momentum": 0.9, "floors": {"type": 0.01}, "normalise": "sum1"},
    {"kind": "ema_loss", "least": 1e-3, "floors": {"type": 100.0}},
    {"kind": "log_sum", "preferences": {"span": 2.0}},
    {"kind": "gls", "preferences": {"span": 2.0}, "normalise": "mean1"},
    {"kind": "uncertainty", "form": "revised", "init": "auto", "preferences": {"span": 2.0}},
    {"kind": "imtl_l", "init": "auto"},
    {"kind": "uw_so", "prenorm": None, "temperature": 5.0},
    {"kind": "uw_so", "prenorm": "first"},
    {"kind": "dwa", "steps_per_epoch": 3},
    {"kind": "rlw", "seed": 7, "normalise": "mean1"},
    {"kind": "famo", "refresh": "next_batch", "floors": {"type": 0.01}},
    {"kind": "stch", "smoothness": 0.2, "prenorm": "ema"},
]


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_kind_keeps_its_promises(kind):
    config = {"kind": kind} | ({"force": True} if kind == "origin_z_score" else {})
    assert "state" in check_balancer(resolve_balancer(config))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v["kind"])
def test_settings_keep_the_promises_too(variant):
    check_balancer(resolve_balancer(variant))


class Moves(Static):
    def forward(self, losses):
        torch.rand(1)
        return super().forward(losses)


class MovesPython(Static):
    def forward(self, losses):
        random.random()
        return super().forward(losses)


class MovesNumpy(Static):
    def forward(self, losses):
        np.random.rand()  # noqa: NPY002
        return super().forward(losses)


class Forgets(EMALoss):
    """Its means are in no state."""

    def __init__(self, tasks, **options):
        super().__init__(tasks, **options)
        self.count = 0

    def weigh(self, positions, values):
        self.count += 1
        return super().weigh(positions, values) * self.count


class NotTensors(Static):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


class CountsPresent(Static):
    """Weights by how many tasks it was built for: an absent task is not a dropped one."""

    def forward(self, losses):
        return super().forward(losses) / len(self.tasks)


class FirstTaskWins(Static):
    def forward(self, losses):
        first = next((loss for loss in losses.values() if loss is not None), 0.0)
        return super().forward(losses) + first


class FirstBuiltWins(Static):
    def forward(self, losses):
        first = losses.get(self.tasks[0])
        return super().forward(losses) + (0.0 if first is None else first)


class TakesNan(Static):
    def present(self, losses):
        given = {k: None if v is None else v.nan_to_num(0.0, 0.0) for k, v in losses.items()}
        return super().present(given)


class Overwrites(Static):
    def backward(self, losses, *, shared=None, scaler=None, retain_graph=False):
        leaves = {id(p): p for loss in losses.values() if loss is not None for p in parameters(loss)}
        for parameter in leaves.values():
            parameter.grad = None
        return super().backward(losses, scaler=scaler, retain_graph=retain_graph)


def parameters(loss: Tensor) -> list[Tensor]:
    found, todo = [], [loss.grad_fn]
    while todo:
        node = todo.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        todo += [n for n, _ in node.next_functions if n is not None]
    return found


class ForgetsScaler(Static):
    def backward(self, losses, *, shared=None, scaler=None, retain_graph=False):
        return super().backward(losses, retain_graph=retain_graph)


class TwoDifferent(Static):
    """Backward is not what calling it gives."""

    claims: ClassVar[Claims] = Claims()

    def backward(self, losses, *, shared=None, scaler=None, retain_graph=False):
        more = {k: None if v is None else 2 * v for k, v in losses.items()}
        return super().backward(more, scaler=scaler, retain_graph=retain_graph)


class TurnsAlone(Static):
    """One task is not led by its own gradient."""

    def forward(self, losses):
        return -super().forward(losses)


class Boasts(Static):
    claims: ClassVar[Claims] = Claims(common_scale="invariant")


class BoastsEach(Static):
    claims: ClassVar[Claims] = Claims(each_scale=True)


class BoastsPeace(Static):
    claims: ClassVar[Claims] = Claims(non_conflict=True)


class BoastsDuplicates(Static):
    claims: ClassVar[Claims] = Claims(duplicate=True)


class BoastsAlone(Static):
    claims: ClassVar[Claims] = Claims(alone=True)

    def forward(self, losses):
        return 2 * super().forward(losses)


FAULTS = {
    "generators: want torch's": Moves,
    "generators: want Python's": MovesPython,
    "generators: want numpy's": MovesNumpy,
    "state: want a resumed": Forgets,
    "state: want a state of tensors": NotTensors,
    "absent": CountsPresent,
    "order: losses": FirstTaskWins,
    "order: tasks": FirstBuiltWins,
    "refusals": TakesNan,
    "sum": Overwrites,
    "scaler": ForgetsScaler,
    "scalar": TwoDifferent,
    "alone: one task: want the same direction": TurnsAlone,
    "alone: one task: want the gradient": BoastsAlone,
    "common_scale": Boasts,
    "each_scale": BoastsEach,
    "non_conflict": BoastsPeace,
    "twins: a task listed twice": BoastsDuplicates,
}


@pytest.mark.parametrize(("said", "faulty"), FAULTS.items(), ids=lambda v: getattr(v, "__name__", ""))
def test_a_fault_is_found_and_named(said, faulty):
    base = EMALossConfig if issubclass(faulty, EMALoss) else StaticConfig

    class Faulty(base):
        kind: Literal["faulty"] = "faulty"

        def build(self, tasks):
            return faulty(tasks, **self.options())

    with pytest.raises(AssertionError, match=f"faulty: {said}"):
        check_balancer(Faulty)


def test_equal_tasks_with_different_coefficients_are_found():
    class Uneven(Static):
        def __init__(self, tasks, **options):
            super().__init__(tasks, weights={tasks[-1]: 2.0}, **options)
            if len(tasks) < 5:
                self.weights.fill_(1.0)

    class UnevenConfig(BalancerConfig):
        kind: Literal["uneven"] = "uneven"

        def build(self, tasks):
            return Uneven(tasks, **self.options())

    with pytest.raises(AssertionError, match="uneven: twins: want one coefficient"):
        check_balancer(UnevenConfig)


def test_what_does_not_survive_json_is_found():
    class Lossy(StaticConfig):
        kind: Literal["lossy"] = "lossy"

        def model_dump_json(self, **options):
            return '{"kind": "lossy"}'

    with pytest.raises(AssertionError, match="lossy: json"):
        check_balancer(Lossy(weights={"span": 2.0}))
