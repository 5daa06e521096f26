import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.jade import Jade

KINDS = ["span_crf", "span_bio", "span_segment", "span_semi_markov"]


def make(kind):
    head = {"kind": kind, "name": "span"}
    return Jade(JadeConfig(input_size=3, hidden=4, projection=None, heads=(head,)), seed=0).eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 1), (1, 5), (2, 4), (10,), (2, 5, 1)])
def test_marks_of_another_shape_are_refused(kind, shape):
    with pytest.raises(ValueError, match=r"target: want shape \(2, 5\), got"):
        make(kind)(torch.zeros(2, 5, 3), targets={"span": torch.zeros(shape)})


@pytest.mark.parametrize("kind", KINDS)
def test_a_half_counts_as_in_the_span(kind):
    model, x = make(kind), torch.randn(1, 5, 3)
    soft, hard = torch.tensor([[0.49, 0.5, 0.7, 0.0, 0.0]]), torch.tensor([[False, True, True, False, False]])
    assert torch.equal(model(x, targets={"span": soft}).span, model(x, targets={"span": hard}).span)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_marked_becomes_likelier_by_training_with_dropout(kind):
    torch.manual_seed(0)
    model = make(kind).train()
    x, marks = torch.randn(16, 12, 3), torch.zeros(16, 12)
    marks[:, 3:7] = 1
    x[:, 3:7] += 2.0
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    before = model.eval()(x, targets={"span": marks}).span.mean().item()
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        (-model(x, targets={"span": marks}).span.mean()).backward()
        optimizer.step()
    after = model.eval()(x, targets={"span": marks}).span.mean().item()
    assert after > before / 2
    assert ((model(x).span > 0) == marks.bool()).float().mean() > 0.95
