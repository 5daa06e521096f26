import pytest
import torch
from torch import nn

from moola_train.config import FitConfig, ParameterGroup
from moola_train.parameter_groups import adamw, parameter_groups


def names_of(groups):
    return [name for group in groups for name in group["names"]]


def test_every_parameter_is_in_exactly_one_group(small):
    model, balancer = small.model(), small.balancer()
    config = FitConfig(groups=(ParameterGroup(pattern="head_*", learning_rate=0.5),))
    groups = parameter_groups(model, balancer, config)
    wanted = [f"model.{n}" for n, _ in model.named_parameters()]
    wanted += [f"balancer.{n}" for n, _ in balancer.named_parameters()]
    assert sorted(names_of(groups)) == sorted(wanted)
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held)) == len(wanted)


def test_biases_scales_and_balancer_do_not_decay():
    model = nn.ModuleDict({"cell": nn.LSTM(2, 3), "norm": nn.LayerNorm(3), "out": nn.Linear(3, 1)})
    balancer = nn.Linear(2, 2)
    decay = {}
    for group in parameter_groups(model, balancer, FitConfig(weight_decay=0.3)):
        decay |= dict.fromkeys(group["names"], group["weight_decay"])
    assert {n for n, d in decay.items() if d} == {
        "model.cell.weight_ih_l0",
        "model.cell.weight_hh_l0",
        "model.out.weight",
    }


def test_balancer_has_its_own_learning_rate(small):
    config = FitConfig(learning_rate=0.1, balancer_learning_rate=0.7)
    rates = {g["name"]: g["lr"] for g in parameter_groups(small.model(), small.balancer(), config)}
    assert rates == {"model": 0.1, "model/no_decay": 0.1, "balancer": 0.7}


def test_balancer_names_a_learning_rate_unless_the_configuration_does():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.slow, self.fast = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

        def param_groups(self):
            return [{"params": [self.fast], "lr": 0.5, "weight_decay": 0.0}]

    model, balancer = nn.Linear(2, 2), Named()
    for config, wanted in ((FitConfig(), (1e-3, 0.5)), (FitConfig(balancer_learning_rate=0.7), (0.7, 0.7))):
        rate = {n: g["lr"] for g in parameter_groups(model, balancer, config) for n in g["names"]}
        assert (rate["balancer.slow"], rate["balancer.fast"]) == wanted


def test_first_matching_pattern_wins(small):
    patterns = (
        ParameterGroup(pattern="head_size.*", learning_rate=0.2),
        ParameterGroup(pattern="head_*", learning_rate=0.3, weight_decay=0),
    )
    rate = {}
    for group in parameter_groups(small.model(), nn.Identity(), FitConfig(groups=patterns)):
        rate |= dict.fromkeys(group["names"], group["lr"])
    assert rate["model.head_size.weight"] == 0.2
    assert rate["model.head_kind.weight"] == 0.3
    assert rate["model.trunk.weight"] == 1e-3


def test_pattern_without_a_match_is_refused(small):
    config = FitConfig(groups=(ParameterGroup(pattern="encoder.*"),))
    with pytest.raises(ValueError, match=r"groups: want a pattern that matches .*got 'encoder\.\*'"):
        parameter_groups(small.model(), nn.Identity(), config)


def test_parameter_shared_by_model_and_balancer_is_refused():
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="balancer: want parameters of its own"):
        parameter_groups(layer, layer, FitConfig())


def test_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match="model: want at least one parameter"):
        parameter_groups(nn.Identity(), nn.Identity(), FitConfig())


def test_adamw_step_equals_the_formula(small):
    model = small.model()
    config = FitConfig(learning_rate=0.1, weight_decay=0.2)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = adamw(parameter_groups(model, nn.Identity(), config), config, device=torch.device("cpu"))
    for p in model.parameters():
        p.grad = torch.full_like(p, 0.5)
    optimizer.step()
    for name, p in model.named_parameters():
        decay = 0.2 if name.endswith("weight") and p.ndim == 2 else 0.0
        # First step of Adam: both bias-corrected moments cancel to the gradient's sign.
        expected = before[name] * (1 - 0.1 * decay) - 0.1 * 0.5 / (0.5 + 1e-8)
        torch.testing.assert_close(p.detach(), expected)
