"""On a GPU: equality with the CPU, precisions, and a training step captured in a CUDA graph."""

import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.contrastive import Contrastive, Noise
from moola_models.jade import Jade
from moola_models.masked_reconstruction import MaskedReconstruction
from moola_models.masking import Masking, draw_hidden
from moola_models.registry import BUILT_IN, resolve_head
from moola_models.store import load_model, save_model

pytestmark = pytest.mark.cuda

B, K, F = 16, 105, 5
STRUCTURED = ("pointers_ends", "span_crf", "span_bio", "span_segment", "span_semi_markov")
KINDS = sorted(BUILT_IN)


def make(kind, device="cuda"):
    head = resolve_head({"kind": kind, "name": "task"})
    pooled = 16 if head.pooled else None
    config = JadeConfig(
        input_size=F, hidden=32, projection=pooled, heads=(head,), input_dropout=0, dense_dropout=0
    )
    return Jade(config, seed=0).to(device)


def data(device="cuda"):
    x = torch.randn(B, K, F, generator=torch.Generator().manual_seed(0))
    marks = torch.zeros(B, K)
    for b in range(1, B):
        marks[b, 5 * b : 5 * b + 6] = 1
    return x.to(device), marks.to(device)


def loss(model, kind, x, marks, lengths=None):
    target = torch.full((B, 2), 0.4, device=x.device) if kind == "pointers_ends" else marks
    out = model(x, targets={"task": target} if kind in STRUCTURED else None, lengths=lengths).task
    return -out.float().mean() if kind in STRUCTURED else out.float().square().mean()


def step(kind, device, dtype=None, lengths=None):
    model = make(kind, device)
    with torch.autocast(device, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        value = loss(model, kind, *data(device), lengths)
    value.backward()
    gradients = [p.grad.float().cpu().flatten() for p in model.parameters() if p.grad is not None]
    return value.item(), torch.cat(gradients)


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_computes_what_a_cpu_does(kind, padded, exact):
    lengths = torch.arange(K - B + 1, K + 1) if padded else None
    wanted, gradients = step(kind, "cpu", lengths=lengths)
    found, other = step(kind, "cuda", lengths=lengths)
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    torch.testing.assert_close(other, gradients, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize("kind", KINDS)
def test_lower_precisions_stay_near(kind, precision, exact, monkeypatch):
    wanted, gradients = step(kind, "cuda")
    if precision == "tf32":
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
        found, other = step(kind, "cuda")
    else:
        found, other = step(kind, "cuda", torch.bfloat16 if precision == "bf16" else torch.float16)
    assert found == pytest.approx(wanted, rel=0.05, abs=0.02)
    assert other.isfinite().all()
    assert torch.nn.functional.cosine_similarity(other, gradients, dim=0) > 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_backward_are_captured_in_a_cuda_graph(kind, exact):
    model = make(kind).train()
    x, marks = data()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            model.zero_grad(set_to_none=True)
            loss(model, kind, x, marks).backward()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    model.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        captured = loss(model, kind, x, marks)
        captured.backward()
    # New numbers in the same memory: a replay must follow them.
    x.copy_(x.roll(1, 0) * 0.5)
    graph.replay()
    replayed = captured.item()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    plain = loss(model, kind, x, marks)
    plain.backward()
    assert replayed == pytest.approx(plain.item(), rel=1e-5, abs=1e-6)
    for a, b in zip(gradients, [p.grad for p in model.parameters() if p.grad is not None], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_seeds_mask_is_the_same_on_both_devices():
    valid = torch.ones(B, K, dtype=torch.bool)
    for pattern in ("random", "block", "patch", "runs"):
        masking = Masking(pattern=pattern)
        wanted = draw_hidden(valid, masking, seed=1)
        assert torch.equal(draw_hidden(valid.cuda(), masking, seed=1).cpu(), wanted)


def test_pretraining_runs_and_a_hidden_value_changes_no_output(exact):
    x, _ = data()
    model = MaskedReconstruction(make("span"), torch.ones(F), width=64, jitter=0.1).cuda()
    total, count = model(x).reconstruction.sum(0)
    (total / count).backward()
    assert model.token.grad.isfinite().all()
    hidden = torch.zeros(B, K, dtype=torch.bool, device="cuda")
    hidden[:, 20:30] = True
    model.eval()
    before = model.predict(x, hidden)
    assert torch.equal(model.predict(x.masked_fill(hidden[:, :, None], 1e9), hidden), before)
    pairs = Contrastive(make("span"), Noise(torch.ones(F), jitter=0.1, masking=Masking()), width=64).cuda()
    total, count = pairs(x).contrast.sum(0)
    (total / count).backward()
    assert count == B


def test_a_model_is_saved_from_and_loaded_to_a_gpu(tmp_path):
    model = make("span").eval()
    again = load_model(save_model(model, tmp_path / "model"), device="cuda")
    x, _ = data()
    assert torch.equal(model(x).task, again(x).task)
