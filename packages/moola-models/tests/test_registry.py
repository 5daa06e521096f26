"""What every head of the registry does, whatever it is."""

import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.jade import Jade
from moola_models.lstm import LstmConfig
from moola_models.registry import BUILT_IN, resolve_head
from moola_models.tcn import TcnConfig
from moola_models.transformer import TransformerConfig

every_kind = pytest.mark.parametrize("kind", sorted(BUILT_IN))
ENCODERS = [LstmConfig(), TcnConfig(), TransformerConfig(attention_heads=2)]
every_encoder = pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.kind)
LENGTHS = [11, 4, 1]

STRUCTURED = {"span_crf", "span_bio", "span_segment", "span_semi_markov"}


def network(kind, encoder=ENCODERS[0], name=None, **changes):
    head = resolve_head(kind if name is None else {"kind": kind, "name": name})
    sizes = {"input_size": 5, "hidden": 4, "projection": 6 if head.pooled else None, "heads": (head,)}
    return Jade(JadeConfig(encoder=encoder, **(sizes | changes)), seed=0)


def target_of(kind, bars):
    """A target that the kind's likelihood reads, for windows of so many bars."""
    if kind in STRUCTURED:
        return (torch.arange(bars) % 3 == 0).float().expand(3, bars)
    if kind == "countdown_buckets":
        return (2 - torch.arange(bars)).float().expand(3, bars)
    return {"pointers_ends": torch.tensor([[0.2, 0.1]]).expand(3, 2)}.get(kind)


@pytest.fixture
def x():
    return torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))


@every_encoder
@every_kind
def test_padded_windows_get_the_outputs_of_the_windows_alone(kind, encoder, x):
    model = network(kind, encoder).eval()
    padded = x.clone()
    for b, length in enumerate(LENGTHS):
        padded[b, length:] = 77.0
    lengths = torch.tensor(LENGTHS)
    task = model.tasks[0]
    together = getattr(model(padded, lengths=lengths), task)
    target = target_of(kind, 11)
    if target is not None:
        likelihood = getattr(model(padded, targets={task: target}, lengths=lengths), task)
    for b, length in enumerate(LENGTHS):
        window = x[b : b + 1, :length]
        alone = getattr(model(window), task)[0]
        per_bar = together.ndim > 1 and together.shape[1] == 11
        torch.testing.assert_close(together[b, :length] if per_bar else together[b], alone)
        if target is not None:
            cut = target[:1, :length] if target.shape[1] == 11 else target[:1]
            torch.testing.assert_close(
                likelihood[b], getattr(model(window, targets={task: cut}), task)[0], rtol=1e-4, atol=1e-5
            )


@every_encoder
@every_kind
def test_any_window_length_runs(kind, encoder):
    model = network(kind, encoder).eval()
    for bars in (1, 2, 105):
        (output,) = model(torch.zeros(2, bars, 5))
        assert output.isfinite().all()
        assert len(output) == 2


@every_kind
@pytest.mark.parametrize("name", ["type", "forward", "training"])
def test_a_task_of_any_kind_may_have_the_name_of_a_module_attribute(kind, name, x):
    model = network(kind, name=name)
    outputs = model(x)
    assert outputs._fields == (name,)
    target = target_of(kind, 11)
    outputs = model(x, targets=None if target is None else {name: target})
    getattr(outputs, name).sum().backward()
    assert model.head(name) is model.readouts[f"{name}_head"]


@every_kind
def test_dense_dropout_acts_in_training_only(kind, x):
    model = network(kind, input_dropout=0.0, dense_dropout=0.5)
    torch.manual_seed(0)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])


@every_kind
def test_likelihoods_are_logs_of_probabilities_and_none_where_the_head_has_none(kind, x):
    target = target_of(kind, 11)
    model = network(kind).eval()
    without = model(x)[0]
    given = model(x, targets={model.tasks[0]: torch.zeros(3, 11) if target is None else target})[0]
    if target is None:
        assert torch.equal(given, without)
    else:
        assert given.shape == (3,)
        assert (given < 0).all()


@every_kind
def test_heads_compile_in_one_graph(kind, x):
    torch.compiler.reset()  # it keeps few versions of one function
    model = network(kind).eval()
    z = model.encode(x).detach()
    target = target_of(kind, 11)
    targets = None if target is None else {model.tasks[0]: target}
    compiled = torch.compile(model.heads, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(z, targets)[0], model.heads(z, targets)[0])


@every_kind
def test_autocast_to_bfloat16_is_finite_and_close(kind, x):
    model = network(kind).eval()
    target = target_of(kind, 11)
    targets = None if target is None else {model.tasks[0]: target}
    exact = model(x, targets=targets)[0]
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(x, targets=targets)[0]
    torch.testing.assert_close(rough.float(), exact, rtol=0.1, atol=0.2)
    rough.float().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
