"""Half precision on the CPU: every head's loss stays finite and near that of float32, gradients too."""

import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.jade import Jade
from moola_models.registry import BUILT_IN, resolve_head

B, K, F = 6, 40, 5
STRUCTURED = ("pointers_ends", "span_crf", "span_bio", "span_segment", "span_semi_markov")


def make(kind):
    head = resolve_head({"kind": kind, "name": "task"})
    config = JadeConfig(
        input_size=F,
        hidden=16,
        projection=8 if head.pooled else None,
        heads=(head,),
        input_dropout=0,
        dense_dropout=0,
    )
    return Jade(config, seed=0)


def marks():
    found = torch.zeros(B, K)
    for b in range(B):
        found[b, 3 + b : 9 + 2 * b] = b > 0
    return found


def target(kind):
    return torch.full((B, 2), 0.4) if kind == "pointers_ends" else marks()


def loss(model, kind, x):
    out = model(x, targets={"task": target(kind)} if kind in STRUCTURED else None).task
    return -out.float().mean() if kind in STRUCTURED else out.float().square().mean()


def run(kind, dtype, scale):
    model = make(kind)
    x = scale * torch.randn(B, K, F, generator=torch.Generator().manual_seed(0))
    # oneDNN has no half-precision LSTM to train on many CPUs; torch's own runs everywhere.
    with torch.backends.mkldnn.flags(enabled=dtype is not torch.float16):
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            value = loss(model, kind, x)
        value.backward()
    gradients = torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])
    return value.item(), gradients


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # torch, of any change to these flags
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_losses_and_gradients_are_finite_and_near_those_of_float32(kind, dtype, scale):
    wanted, gradients = run(kind, None, scale)
    found, half = run(kind, dtype, scale)
    assert found == pytest.approx(wanted, rel=0.05, abs=0.02)
    assert half.isfinite().all()
    assert torch.nn.functional.cosine_similarity(half, gradients, dim=0) > 0.98


@pytest.mark.parametrize("kind", STRUCTURED)
def test_structured_likelihoods_are_computed_in_full_precision(kind):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model = make(kind)
        assert model(torch.randn(B, K, F), targets={"task": target(kind)}).task.dtype == torch.float32
        assert model(torch.randn(B, K, F)).task.dtype == torch.float32
