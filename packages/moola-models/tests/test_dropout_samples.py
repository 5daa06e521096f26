import pytest
import torch
from torch import nn

from moola_models.config import JadeConfig, brief_heads
from moola_models.dropout_samples import dropout_samples
from moola_models.jade import Jade
from moola_models.lstm import LstmConfig
from moola_models.tcn import TcnConfig
from moola_models.transformer import TransformerConfig

ENCODERS = [LstmConfig(), TcnConfig(), TransformerConfig(attention_heads=2)]


def network(**changes):
    settings = {"input_size": 5, "hidden": 8, "projection": 6, "heads": brief_heads()} | changes
    return Jade(JadeConfig(**settings), seed=0).eval()


@pytest.fixture
def x():
    return torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_every_dropout_drops_at_the_rate_asked_for(x, rate):
    model = network(input_dropout=0.3, dense_dropout=0.0)
    shares = {}

    def count(name):
        def hook(module, args, output):
            asked = args[0] != 0
            kept = (output != 0) & asked
            torch.testing.assert_close(output[kept], (args[0] / (1 - rate))[kept], rtol=1e-4, atol=0)
            shares.setdefault(name, []).append(1 - kept.sum() / asked.sum())

        return hook

    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(count(name))
    dropout_samples(model, x.repeat(20, 1, 1), samples=20, rate=rate, seed=0)
    assert len(shares) == 5
    for share in shares.values():
        assert torch.stack(share).mean() == pytest.approx(rate, abs=0.03)


def test_without_a_rate_every_dropout_keeps_its_own(x):
    model = network(input_dropout=0.0, dense_dropout=0.5, layers=2)
    drawn = dropout_samples(model, x, samples=3, seed=0)
    assert not torch.equal(drawn.span[0], drawn.span[1])
    model.readouts["span_head"].dropout.p = 0.0
    drawn = dropout_samples(model, x, samples=3, seed=0)
    assert torch.equal(drawn.span[0], drawn.span[1])
    assert not torch.equal(drawn.type[0], drawn.type[1])


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: e.kind)
def test_dropouts_between_and_in_layers_take_part(x, encoder):
    model = network(encoder=encoder, layers=2, layer_dropout=0.4, input_dropout=0.0, dense_dropout=0.0)
    drawn = dropout_samples(model, x, samples=2, seed=0)
    assert not torch.equal(drawn.span[0], drawn.span[1])
    again = network(encoder=encoder, layers=2, layer_dropout=0.0, input_dropout=0.0, dense_dropout=0.0)
    assert not torch.equal(*dropout_samples(again, x, samples=2, seed=0, rate=0.4).span)


def test_the_mean_of_a_linear_head_is_its_answer_without_dropout(x):
    model = network(input_dropout=0.0, dense_dropout=0.5)
    drawn = dropout_samples(model, x, samples=600, seed=0).countdown
    error = drawn.std(0) / 600**0.5
    with torch.no_grad():
        assert ((drawn.mean(0) - model(x).countdown).abs() < 5 * error).all()


def test_the_seed_decides_the_samples_and_the_global_state_stays(x):
    model = network()
    before = torch.get_rng_state()
    one, same, other = (dropout_samples(model, x, samples=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.span, other.span)


@pytest.mark.parametrize("training", [True, False])
def test_modes_and_rates_are_afterwards_what_they_were(x, training):
    model = network(layers=2, layer_dropout=0.2).train(training)
    model.readouts["type_head"].train(not training)

    def state():
        return [(m.training, getattr(m, "p", None), getattr(m, "dropout", None)) for m in model.modules()]

    before = state()
    dropout_samples(model, x, samples=2, rate=0.7, seed=0)
    assert state() == before
    with pytest.raises(ValueError, match="x_BKF"):
        dropout_samples(model, x[0], samples=2, rate=0.7, seed=0)
    assert state() == before


def test_the_rest_of_the_model_is_in_evaluation_mode(x):
    model = network()
    model.readouts["span_head"].linear = nn.Sequential(nn.BatchNorm1d(11), model.readouts["span_head"].linear)
    norm = model.readouts["span_head"].linear[0]
    before = norm.running_mean.clone()
    dropout_samples(model.train(), x, samples=2, seed=0)
    assert torch.equal(norm.running_mean, before)
    assert norm.training


def test_padded_windows_get_samples_without_a_gradient(x):
    drawn = dropout_samples(network(), x, samples=4, seed=0, lengths=torch.tensor([11, 4, 1]))
    assert drawn._fields == ("type", "pointers", "span", "countdown")
    assert drawn.type.shape == (4, 3, 3)
    assert not drawn.span.requires_grad


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples: want 1 or more, got 0"),
        ({"rate": 1.0}, "rate: want 0 <= rate < 1, got 1.0"),
        ({"rate": 0.0}, "want a dropout above 0 to sample"),
    ],
)
def test_bad_arguments_are_refused_by_name(x, changes, message):
    with pytest.raises(ValueError, match=message):
        dropout_samples(network(), x, **({"samples": 2, "seed": 0} | changes))


def test_a_model_without_dropout_is_refused(x):
    with pytest.raises(ValueError, match="want a dropout above 0 to sample, got 5 dropouts, none of them on"):
        dropout_samples(network(input_dropout=0.0, dense_dropout=0.0), x, samples=2, seed=0)


@pytest.mark.cuda
def test_samples_on_a_gpu_follow_the_seed_and_leave_its_state(x):
    model, x = network().cuda(), x.cuda()
    before = torch.cuda.get_rng_state()
    one, same = (dropout_samples(model, x, samples=2, seed=1) for _ in range(2))
    assert torch.equal(before, torch.cuda.get_rng_state())
    assert torch.equal(one.span, same.span)
