import pytest
import torch

from moola_models.config import JadeConfig, brief_heads
from moola_models.disagreement import disagreement_of_bars
from moola_models.ensemble import Ensemble
from moola_models.jade import Jade
from moola_models.lstm import LstmConfig
from moola_models.tcn import TcnConfig
from moola_models.transformer import TransformerConfig

WAYS = [
    (LstmConfig(), "loop"),
    (TcnConfig(), "loop"),
    (TcnConfig(), "vmap"),
    (TransformerConfig(attention_heads=2), "vmap"),
]
every_way = pytest.mark.parametrize(("encoder", "method"), WAYS, ids=lambda v: getattr(v, "kind", v))


def config(encoder, span="bars"):
    return JadeConfig(
        input_size=5, hidden=8, layers=2, projection=6, heads=brief_heads(span=span), encoder=encoder
    )


def network(encoder, seed, span="bars"):
    return Jade(config(encoder, span), seed=seed).eval()


@pytest.fixture
def x():
    return torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))


@every_way
@pytest.mark.parametrize("lengths", [None, [11, 4, 1]])
@pytest.mark.parametrize("gradients", [True, False])
def test_outputs_are_those_of_the_members(encoder, method, lengths, gradients, x):
    members = [network(encoder, seed) for seed in range(4)]
    lengths = None if lengths is None else torch.tensor(lengths)
    with torch.set_grad_enabled(gradients):
        together = Ensemble(members, method=method)(x, lengths=lengths)
        for m, member in enumerate(members):
            for got, want in zip(together, member(x, lengths=lengths), strict=True):
                torch.testing.assert_close(got[m], want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("span", ["crf", "bio", "segment", "semi_markov"])
def test_structured_heads_take_part(span, x):
    members = [network(TcnConfig(), seed, span) for seed in range(2)]
    together = Ensemble(members, method="vmap")(x)
    torch.testing.assert_close(together.span[1], members[1](x).span, rtol=0, atol=1e-5)


@every_way
def test_a_member_that_trains_on_changes_the_next_answer(encoder, method, x):
    members = [network(encoder, seed) for seed in range(2)]
    ensemble = Ensemble(members, method=method)
    before = ensemble(x).span
    with torch.no_grad():
        for parameter in members[1].parameters():
            parameter.add_(0.1)
    after = ensemble(x).span
    torch.testing.assert_close(before[0], after[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(after[1], members[1](x).span, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before[1], after[1])


def test_members_trained_apart_disagree_and_copies_do_not(x):
    one = network(LstmConfig(), 0)
    apart = Ensemble([one, network(LstmConfig(), 1)])(x).span.sigmoid()
    assert disagreement_of_bars(apart).information.max() > 0
    assert disagreement_of_bars(Ensemble([one, one])(x).span.sigmoid()).information.max() < 1e-6


@every_way
def test_in_training_every_member_drops_for_itself(encoder, method, x):
    one = network(encoder, 0)
    torch.manual_seed(0)
    first, second = Ensemble([one, one], method=method).train()(x).countdown
    assert not torch.allclose(first, second)


def test_fused_attention_is_afterwards_what_it_was(x):
    Ensemble([network(TransformerConfig(attention_heads=2), 0)], method="vmap")(x)
    assert torch.backends.mha.get_fastpath_enabled()


def test_impossible_ensembles_are_refused():
    lstm, tcn = network(LstmConfig(), 0), network(TcnConfig(), 0)
    with pytest.raises(ValueError, match="members: want 1 or more, got none"):
        Ensemble([])
    with pytest.raises(ValueError, match=r"members: want the configuration .* in row 1"):
        Ensemble([lstm, tcn])
    with pytest.raises(ValueError, match="method: want 'loop' for an LSTM, got 'vmap'"):
        Ensemble([lstm], method="vmap")


def test_an_unknown_method_is_refused():
    member = Jade(JadeConfig(input_size=3, hidden=4, projection=None, heads=("span",)))
    with pytest.raises(ValueError, match="method: want 'loop' or 'vmap', got 'all'"):
        Ensemble([member], method="all")
