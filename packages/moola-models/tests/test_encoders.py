import itertools
from fnmatch import fnmatchcase

import pytest
import torch
from pydantic import ValidationError

from moola_models.config import JadeConfig, brief_heads, compact
from moola_models.jade import Jade
from moola_models.lstm import LstmConfig, StemConfig
from moola_models.tcn import TcnConfig
from moola_models.transformer import TransformerConfig

ENCODERS = [
    LstmConfig(),
    LstmConfig(stem=StemConfig(width=6, kernel=3)),
    TcnConfig(),
    TcnConfig(kernel=5),
    TransformerConfig(attention_heads=2, feedforward=12),
]
every_encoder = pytest.mark.parametrize(
    "encoder", ENCODERS, ids=["lstm", "stem+lstm", "tcn3", "tcn5", "transformer"]
)


def small(encoder, **changes):
    sizes = {"input_size": 5, "hidden": 4, "projection": 6, "layers": 2, "heads": brief_heads()}
    return JadeConfig(encoder=encoder, **(sizes | changes))


@pytest.fixture
def x():
    return torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))


def count(module):
    return sum(p.numel() for p in module.parameters())


@every_encoder
def test_a_state_of_twice_hidden_for_every_bar_whatever_the_encoder(encoder, x):
    model = Jade(small(encoder))
    for bars in (1, 2, 11):
        assert model.encode(x[:, :bars]).shape == (3, bars, 8)


@every_encoder
@pytest.mark.parametrize("training", [False, True])
def test_padded_windows_get_the_states_of_the_windows_alone(encoder, training, x):
    model = Jade(small(encoder, input_dropout=0.0, dense_dropout=0.0)).train(training)
    lengths = torch.tensor([11, 4, 1])
    padded = x.clone()
    for b, length in enumerate(lengths):
        padded[b, length:] = 77.0
    states = model.encode(padded, lengths=lengths)
    outputs = model(padded, lengths=lengths)
    for b, length in enumerate(lengths):
        torch.testing.assert_close(states[b, :length], model.encode(x[b : b + 1, :length])[0])
        assert not states[b, length:].any()
        alone = model(x[b : b + 1, :length])
        for name in ("type", "pointers"):
            torch.testing.assert_close(getattr(outputs, name)[b], getattr(alone, name)[0])
        for name in ("span", "countdown"):
            torch.testing.assert_close(getattr(outputs, name)[b, :length], getattr(alone, name)[0])


@every_encoder
def test_padded_windows_give_the_gradients_of_the_windows_alone(encoder, x):
    model = Jade(small(encoder)).eval()
    padded = x.clone()
    padded[1, 4:] = 77.0
    model.encode(padded, lengths=torch.tensor([11, 4, 11]))[:, :4].sum().backward()
    together = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    sum(model.encode(w)[:, :4].sum() for w in (x[:1], x[1:2, :4], x[2:])).backward()
    for name, parameter in model.named_parameters():
        if name in together:
            torch.testing.assert_close(together[name], parameter.grad, rtol=1e-4, atol=1e-5)


@every_encoder
@pytest.mark.parametrize("lengths", [[11, 0, 3], [11, 12, 3]])
def test_a_length_outside_the_window_is_refused_with_its_row(encoder, lengths, x):
    with pytest.raises(ValueError, match=rf"lengths: want 1\.\.11, got {lengths[1]} in row 1"):
        Jade(small(encoder)).encode(x, lengths=torch.tensor(lengths))


@every_encoder
def test_the_configuration_survives_json(encoder):
    config = small(encoder)
    assert JadeConfig.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_of_before_there_were_encoders_is_an_lstm():
    settings = compact().model_dump(mode="json")
    del settings["encoder"]
    assert JadeConfig.model_validate(settings) == compact()


def test_the_names_of_an_lstm_model_s_tensors_are_those_of_old_checkpoints():
    names = {name.split(".")[0] for name in Jade(compact()).state_dict()}
    assert names == {"lstm", "projection", "readouts"}
    assert "lstm.weight_ih_l0_reverse" in Jade(compact()).state_dict()


@every_encoder
def test_every_parameter_of_an_encoder_gets_a_gradient(encoder, x):
    model = Jade(small(encoder))
    (model.encode(x) ** 3).sum().backward()
    silent = [
        name
        for name, parameter in model.named_parameters()
        if not name.startswith(("readouts", "projection"))
        # The keys' biases shift all scores of a query alike and cannot matter.
        and "in_proj_bias" not in name
        and (parameter.grad is None or not parameter.grad.abs().sum() > 0)
    ]
    assert silent == []


@every_encoder
def test_the_seed_decides_the_parameters(encoder):
    one, same, other = (Jade(small(encoder), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@every_encoder
def test_layer_dropout_acts_in_training_only(encoder, x):
    model = Jade(small(encoder, layer_dropout=0.5, input_dropout=0.0))
    torch.manual_seed(0)
    assert not torch.equal(model.encode(x), model.encode(x))
    model.eval()
    assert torch.equal(model.encode(x), model.encode(x))


@pytest.mark.parametrize("encoder", [TcnConfig(), TransformerConfig(attention_heads=2)])
def test_layer_dropout_acts_in_a_single_layer_of_an_encoder_that_drops_inside(encoder, x):
    model = Jade(small(encoder, layers=1, layer_dropout=0.5, input_dropout=0.0))
    torch.manual_seed(0)
    assert not torch.equal(model.encode(x), model.encode(x))


def test_layer_dropout_of_a_single_lstm_layer_is_refused_with_a_stem_too():
    with pytest.raises(ValidationError, match="layer_dropout: want 0 with one layer"):
        small(LstmConfig(stem=StemConfig()), layers=1, layer_dropout=0.5)


@every_encoder
def test_half_precision_autocast_is_finite_and_close(encoder, x):
    model = Jade(small(encoder)).eval()
    exact = model.encode(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.encode(x)
    torch.testing.assert_close(rough.float(), exact, rtol=0.1, atol=0.1)
    rough.float().sum().backward()


@pytest.mark.parametrize("encoder", ENCODERS[2:], ids=["tcn3", "tcn5", "transformer"])
def test_one_export_of_an_encoder_without_recurrence_serves_any_length_and_batch(encoder, x):
    model = Jade(small(encoder)).eval()
    dims = ({0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("bars", min=2)},)
    exported = torch.export.export(model, (x,), dynamic_shapes=dims).module()
    for one in (x, x[:2, :7]):
        for got, want in zip(exported(one), model(one), strict=True):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS[2:], ids=["tcn3", "tcn5", "transformer"])
def test_encoders_without_recurrence_compile_in_one_graph(encoder, x):
    model = Jade(small(encoder)).eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for got, want in zip(compiled(x), model(x), strict=True):
        torch.testing.assert_close(got, want)


def seen(model, x, bar):
    """Which bars change the state of one bar."""
    x = x.clone().requires_grad_()
    model.encode(x)[:, bar].square().sum().backward()
    return x.grad.abs().sum((0, 2)).nonzero().flatten().tolist()


@pytest.mark.parametrize(("kernel", "layers", "reach"), [(3, 1, 1), (3, 3, 7), (5, 2, 6)])
def test_a_tcn_sees_as_far_as_its_description_says(kernel, layers, reach):
    model = Jade(small(TcnConfig(kernel=kernel), layers=layers)).eval()
    assert seen(model, torch.randn(1, 21, 5), 10) == list(range(10 - reach, 11 + reach))


@pytest.mark.parametrize("encoder", [LstmConfig(), TransformerConfig(attention_heads=2)])
def test_other_encoders_see_the_whole_window(encoder):
    assert seen(Jade(small(encoder)).eval(), torch.randn(1, 21, 5), 10) == list(range(21))


def test_a_stem_sees_its_kernel_only():
    model = Jade(small(LstmConfig(stem=StemConfig(kernel=3)))).eval()
    x = torch.randn(1, 9, 5, requires_grad=True)
    model.stem(x)[:, 4].square().sum().backward()
    assert x.grad.abs().sum((0, 2)).nonzero().flatten().tolist() == [3, 4, 5]


def test_a_transformer_knows_the_order_of_the_bars(x):
    model = Jade(small(TransformerConfig(attention_heads=2))).eval()
    assert not torch.allclose(model.encode(x.flip(1)).flip(1), model.encode(x), atol=1e-3)


def test_the_layers_of_a_transformer_start_different():
    layers = Jade(small(TransformerConfig(attention_heads=2))).encoder.layers
    assert not torch.equal(layers[0].linear1.weight, layers[1].linear1.weight)


def test_parameter_counts_are_those_of_the_formulas():
    features, width, layers, kernel, inner = 12, 192, 6, 3, 256
    inlet, norm = features * width + width, 2 * width
    block = norm + width * width * kernel + width
    assert count(Jade(compact_with(TcnConfig())).encoder) == inlet + layers * block + norm
    attention = 4 * (width * width + width)
    feedforward = width * inner + inner + inner * width + width
    layer = attention + feedforward + 2 * norm
    assert count(Jade(compact_with(TransformerConfig())).encoder) == inlet + layers * layer + norm
    stem = StemConfig(width=32, kernel=5)
    with_stem = Jade(small(LstmConfig(stem=stem), input_size=12, hidden=96, layers=1))
    assert count(with_stem.stem) == 12 * 32 * 5 + 32
    assert count(with_stem.lstm) == 2 * (4 * 96 * (32 + 96) + 8 * 96)


def compact_with(encoder):
    return JadeConfig(input_size=12, layers=6, heads=brief_heads(), encoder=encoder)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"kind": "mamba"}, "encoder"),
        ({"kind": "tcn", "kernel": 4}, "want an odd number, got 4"),
        ({"kind": "lstm", "stem": {"kernel": 2}}, "want an odd number, got 2"),
        ({"kind": "lstm", "kernel": 3}, "kernel"),
        ({"kind": "transformer", "attention_heads": 3}, r"want a divisor of 8 \(twice hidden\), got 3"),
    ],
)
def test_bad_encoders_are_refused_by_name(encoder, message):
    with pytest.raises(ValidationError, match=message):
        small(encoder)


@every_encoder
def test_every_parameter_of_the_encoder_belongs_to_one_layer(encoder):
    model = Jade(small(encoder, layers=2))
    globs = list(itertools.chain(*encoder.layer_patterns(2)))
    names = [n for n, _ in model.named_parameters() if not n.startswith(("readouts", "projection"))]
    assert all(sum(fnmatchcase(name, glob) for glob in globs) == 1 for name in names)
