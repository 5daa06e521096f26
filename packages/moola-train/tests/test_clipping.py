import pytest
import torch

from moola_train import Callback, fit
from moola_train.fused_adamw import FusedAdamW


def norms_at_the_step(small, **settings):
    """Runs one epoch; returns, for each step, the gradient norm of each part, before and after clipping."""
    before, after = [], []

    def measure(model, balancer):
        parts = {"trunk": [*model.trunk.parameters()], "balancer": [*balancer.parameters()]}
        kept = {id(p) for ps in parts.values() for p in ps}
        parts["rest"] = [p for p in model.parameters() if id(p) not in kept]
        return {k: float(torch.cat([p.grad.flatten() for p in v]).norm()) for k, v in parts.items()}

    class Look(Callback):
        def on_backward(self, state):
            before.append(measure(state.model, state.balancer))
            return ()

    model, balancer = small.model(), small.balancer()
    step = FusedAdamW.step

    def spy(self, closure=None):
        after.append(measure(model, balancer))
        return step(self, closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FusedAdamW, "step", spy)
        config = small.config(epochs=1, **settings)
        fit(model, small.data(), small.tasks, balancer, config, callbacks=[Look()])
    return before, after


def test_group_is_clipped_by_its_own_norm_and_all_the_rest_together(small):
    groups = ({"pattern": "trunk.*", "clip_norm": 0.01},)
    before, after = norms_at_the_step(small, groups=groups, clip_norm=0.05)
    assert min(b["trunk"] for b in before) > 0.01
    for b, a in zip(before, after, strict=True):
        assert a["trunk"] == pytest.approx(0.01, rel=1e-3)
        rest = (b["rest"] ** 2 + b["balancer"] ** 2) ** 0.5
        share = 0.05 / rest
        assert share < 1
        assert a["rest"] == pytest.approx(b["rest"] * share, rel=1e-3)
        assert a["balancer"] == pytest.approx(b["balancer"] * share, rel=1e-3, abs=1e-7)


def test_without_a_norm_for_the_run_only_the_group_is_clipped(small):
    before, after = norms_at_the_step(small, groups=({"pattern": "trunk.*", "clip_norm": 0.01},))
    for b, a in zip(before, after, strict=True):
        assert a["trunk"] == pytest.approx(0.01, rel=1e-3)
        assert (a["rest"], a["balancer"]) == (b["rest"], b["balancer"])


def test_small_gradients_are_left_alone(small):
    before, after = norms_at_the_step(
        small, clip_norm=1e6, groups=({"pattern": "trunk.*", "clip_norm": 1e6},)
    )
    for b, a in zip(before, after, strict=True):
        assert a == pytest.approx(b, rel=1e-6)
