"""`torch.compile(fullgraph=True)`: everything after the LSTM is one graph, forwards and backwards."""

import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.jade import Jade
from moola_models.registry import BUILT_IN, resolve_head

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's own compiler

B, K = 4, 7
STRUCTURED = ("pointers_ends", "span_crf", "span_bio", "span_segment", "span_semi_markov")


def make(kind):
    head = resolve_head({"kind": kind, "name": "task"})
    config = JadeConfig(
        input_size=3, hidden=4, projection=6 if head.pooled else None, heads=(head,), dense_dropout=0
    )
    return Jade(config, seed=0)


def inputs():
    z = torch.randn(B, K, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    marks = torch.zeros(B, K)
    marks[0, 2:5] = marks[1, :2] = marks[3, 6] = 1
    return z, marks


def check(kind, backend, with_target):
    torch.compiler.reset()
    model = make(kind)

    def answer(z, marks):
        return model.heads(z, {"task": marks} if with_target else None)[0]

    compiled = torch.compile(answer, fullgraph=True, backend=backend, dynamic=False)
    target = torch.full((B, 2), 0.4) if kind == "pointers_ends" else inputs()[1]
    results = []
    for function in (answer, compiled):
        z, _ = inputs()
        out = function(z, target)
        parameters = [p for p in model.readouts.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(out.square().sum(), [z, *parameters], allow_unused=True)
        results.append([out, *(g for g in gradients if g is not None)])
    for wanted, found in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["pointers", "span", "span_segment"])
def test_heads_are_one_graph(kind):
    check(kind, "aot_eager", kind in STRUCTURED)


@pytest.mark.slow
@pytest.mark.parametrize("with_target", [False, True])
@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_head_is_one_graph(kind, with_target):
    check(kind, "aot_eager", with_target)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_head_is_one_compiled_kernel_graph(kind):
    check(kind, "inductor", kind in STRUCTURED)
