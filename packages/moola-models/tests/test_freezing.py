import pytest
import torch
from pydantic import ValidationError

from moola_models.config import JadeConfig, brief_heads
from moola_models.freezing import (
    Stage,
    Thawing,
    freeze_encoder,
    head_patterns,
    layer_patterns,
    param_groups,
    set_training,
)
from moola_models.heads import HeadConfig
from moola_models.jade import Jade
from moola_models.lstm import LstmConfig, StemConfig
from moola_models.origin import origin_wide
from moola_models.pointers_head import PointersHeadConfig
from moola_models.tcn import TcnConfig
from moola_models.transformer import TransformerConfig
from moola_models.type_head import TypeHeadConfig

ENCODERS = [
    LstmConfig(),
    LstmConfig(stem=StemConfig(width=6)),
    TcnConfig(),
    TransformerConfig(attention_heads=2),
]
every_encoder = pytest.mark.parametrize("encoder", ENCODERS, ids=["lstm", "stem+lstm", "tcn", "transformer"])


def network(encoder, layers=3):
    config = JadeConfig(
        input_size=5, hidden=4, layers=layers, projection=6, heads=brief_heads(), encoder=encoder
    )
    return Jade(config, seed=0)


def moved(model, optimizer, steps=2):
    """Names of the tensors that change in real steps, weight decay and momentum included."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = model(torch.randn(4, 11, 5, generator=generator))
        sum(output.square().sum() for output in outputs).backward()
        optimizer.step()
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


def names_of(model, layers):
    """Names after the encoder, and of the encoder layers of these numbers, found without globs."""
    marks = {
        layer: (f"_l{layer}", f"_l{layer}_reverse", f"blocks.{layer}.", f"layers.{layer}.")
        for layer in range(3)
    }

    def belongs(name):
        if name.startswith(("readouts", "projection")):
            return True
        if name.startswith(("stem", "encoder.inlet")):
            return 0 in layers
        if name.startswith("encoder.norm"):
            return 2 in layers
        return any(name.endswith(mark) or f".{mark}" in name for layer in layers for mark in marks[layer])

    return {name for name, _ in model.named_parameters() if belongs(name)}


@every_encoder
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_a_schedule_moves_the_tensors_of_its_layers_and_no_others(encoder, kind):
    model = network(encoder)
    extra = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind(param_groups(model, lr=1e-3), weight_decay=0.1, **extra)
    stages = [(0, 0, ()), (2, 1, (2,)), (3, 2, (1, 2)), (5, None, (0, 1, 2)), (6, 1, (2,))]
    schedule = Thawing(stages=tuple(Stage(epoch=epoch, layers=n) for epoch, n, _ in stages))
    for epoch, _, layers in stages:
        set_training(model, schedule.scales(model, epoch=epoch), optimizer=optimizer, lr=1e-3)
        assert moved(model, optimizer) == names_of(model, layers)


def test_layers_learn_at_their_own_rates():
    """Plain gradient descent moves a tensor by rate times gradient."""
    model = network(LstmConfig())
    optimizer = torch.optim.SGD(param_groups(model, lr=1.0))
    schedule = Thawing(stages=(Stage(epoch=0, layers=2, lr_scale=0.5, decay=0.1),))
    set_training(model, schedule.scales(model, epoch=0), optimizer=optimizer, lr=0.01)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.eval()(torch.ones(2, 7, 5)).span.sum().backward()
    optimizer.step()
    after = dict(model.named_parameters())
    for name, rate in [
        ("readouts.span_head.linear.weight", 0.01),
        ("lstm.weight_hh_l2", 0.005),
        ("lstm.weight_hh_l1_reverse", 0.0005),
    ]:
        torch.testing.assert_close(after[name], before[name] - rate * after[name].grad)
    assert after["lstm.weight_hh_l0"].grad is None


def test_optimiser_moments_outlive_a_thaw():
    model = network(LstmConfig())
    optimizer = torch.optim.AdamW(param_groups(model, lr=1e-3))
    schedule = Thawing(stages=(Stage(epoch=0, layers=0), Stage(epoch=1, layers=1)))
    for epoch in (0, 1):
        set_training(model, schedule.scales(model, epoch=epoch), optimizer=optimizer, lr=1e-3)
        moved(model, optimizer)
    head = model.head("span").linear.weight
    assert optimizer.state[head]["step"] == 4
    assert optimizer.state[model.lstm.weight_hh_l2]["step"] == 2
    assert model.lstm.weight_hh_l1 not in optimizer.state


@every_encoder
def test_groups_hold_every_parameter_once(encoder):
    model = network(encoder)
    held = [id(p) for group in param_groups(model, lr=1.0) for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_freezing_the_encoder_leaves_the_heads_the_first_system_trained():
    heads: tuple[HeadConfig, ...] = (TypeHeadConfig(), PointersHeadConfig())
    model = Jade(origin_wide().model_copy(update={"heads": heads}))
    frozen = freeze_encoder(model)
    assert all(name.startswith("lstm.") for name in frozen)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 16_775 - 2  # without two sigmas
    assert sum(p.numel() for p in model.parameters() if not p.requires_grad) == 540_672


def test_a_frozen_encoder_still_passes_gradients_to_its_input():
    model = network(LstmConfig())
    freeze_encoder(model)
    x = torch.randn(2, 5, 5, requires_grad=True)
    model(x).span.sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_glob_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match=r"want one that matches a parameter, got 'encoder\.lstm\.\*l1'"):
        set_training(network(LstmConfig()), {"encoder.lstm.*l1": 1.0})


def test_a_layer_s_globs_do_not_reach_layers_with_longer_numbers():
    model = network(LstmConfig(), layers=12)
    schedule = Thawing(stages=(Stage(epoch=0, layers=11),))
    set_training(model, schedule.scales(model, epoch=0))
    assert not model.lstm.weight_hh_l0.requires_grad
    assert model.lstm.weight_hh_l1.requires_grad
    assert model.lstm.weight_hh_l10.requires_grad


def test_a_schedule_survives_json():
    schedule = Thawing(
        stages=(Stage(epoch=0, layers=0), Stage(epoch=3, layers=None, lr_scale=0.1, decay=0.4))
    )
    assert Thawing.model_validate_json(schedule.model_dump_json()) == schedule


@pytest.mark.parametrize("epochs", [(1,), (0, 0), (0, 5, 3)])
def test_stages_that_do_not_ascend_from_0_are_refused(epochs):
    with pytest.raises(ValidationError, match="want ascending epochs from 0"):
        Thawing(stages=tuple(Stage(epoch=epoch, layers=0) for epoch in epochs))


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(ValueError, match="layers: want at most 3, got 4 in the stage of 0"):
        Thawing(stages=(Stage(epoch=0, layers=4),)).scales(network(TcnConfig()), epoch=2)


def test_a_group_of_two_rates_and_a_rate_without_optimiser_are_refused():
    model = network(LstmConfig())
    scales = Thawing(stages=(Stage(epoch=0, layers=0),)).scales(model, epoch=0)
    with pytest.raises(ValueError, match="optimizer: want groups of one learning rate"):
        set_training(model, scales, optimizer=torch.optim.SGD(model.parameters(), lr=1.0), lr=1.0)
    with pytest.raises(ValueError, match="optimizer, lr: want both or none"):
        set_training(model, scales, lr=1.0)
    with pytest.raises(ValueError, match="epoch: want 0 or more, got -1"):
        Thawing(stages=(Stage(epoch=0, layers=0),)).at(-1)


def test_patterns_of_a_model_without_projection_name_none():
    model = Jade(JadeConfig(input_size=5, projection=None, heads=brief_heads()))
    assert head_patterns(model) == ("readouts.*",)
    assert layer_patterns(model) == (("lstm.*_l0", "lstm.*_l0_reverse"),)
