import math

import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.contrastive import Contrastive, Noise, nt_xent, overlaps
from moola_models.jade import Jade
from moola_models.masked_reconstruction import summed_loss
from moola_models.masking import Masking

F = 3


def make(temperature=0.2, jitter=0.1, seed=0):
    config = JadeConfig(input_size=F, hidden=8, projection=None, heads=("span",), input_dropout=0)
    view = Noise(torch.ones(F), jitter=jitter, masking=Masking(ratio=0.2))
    return Contrastive(Jade(config), view, width=16, dimension=6, temperature=temperature, seed=seed)


def by_hand(one, other, temperature, same):
    """The loss of each window, by a walk over views."""
    views = [*one.tolist(), *other.tolist()]
    B = len(one)

    def s(i, j):
        dot = sum(a * b for a, b in zip(views[i], views[j], strict=True))
        return dot / math.dist(views[i], [0] * 4) / math.dist(views[j], [0] * 4) / temperature

    losses = []
    for b in range(B):
        total = 0.0
        for i, j in ((b, b + B), (b + B, b)):
            others = [k for k in range(2 * B) if k % B != b and not same[b][k % B]]
            total += math.log(sum(math.exp(s(i, k)) for k in [j, *others])) - s(i, j)
        losses.append(total / 2)
    return losses


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_loss_is_that_of_a_walk_over_views(temperature):
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(5, 4, generator=generator), torch.randn(5, 4, generator=generator)
    same = torch.eye(5, dtype=torch.bool)
    same[0, 3] = same[3, 0] = same[1, 2] = same[2, 1] = True
    found = nt_xent(one, other, temperature=temperature, same_BB=same)
    wanted = by_hand(one.double(), other.double(), temperature, same.tolist())
    assert found[:, 0].tolist() == pytest.approx(wanted, rel=1e-5)
    assert found[:, 1].tolist() == [1] * 5


def test_the_order_of_views_and_their_lengths_do_not_matter():
    one, other = torch.randn(5, 4), torch.randn(5, 4)
    loss = nt_xent(one, other, temperature=0.5)
    torch.testing.assert_close(loss, nt_xent(other, one, temperature=0.5))
    torch.testing.assert_close(loss, nt_xent(3 * one, 0.2 * other, temperature=0.5))


def test_views_all_alike_give_the_logarithm_of_their_number():
    ones = torch.ones(6, 4)
    assert nt_xent(ones, ones, temperature=0.1)[:, 0].tolist() == pytest.approx([math.log(11)] * 6)


def test_a_window_with_nothing_to_compare_counts_for_nothing():
    same = torch.ones(3, 3, dtype=torch.bool)
    found = nt_xent(torch.randn(3, 4), torch.randn(3, 4), temperature=0.1, same_BB=same)
    assert found.tolist() == [[0, 0]] * 3
    assert nt_xent(torch.randn(1, 4), torch.randn(1, 4), temperature=0.1).tolist() == [[0, 0]]


def test_overlapping_windows_of_one_stream_are_no_negatives():
    torch.manual_seed(0)
    x = torch.randn(2, 10, F)
    model = make()
    apart = {"contrast": torch.tensor([[0, 0], [0, 10]])}
    over = {"contrast": torch.tensor([[0, 0], [0, 9]])}
    other_stream = {"contrast": torch.tensor([[0, 0], [1, 9]])}
    assert model(x, targets=apart).contrast[:, 1].tolist() == [1, 1]
    assert model(x, targets=over).contrast.tolist() == [[0, 0], [0, 0]]
    assert model(x, targets=other_stream).contrast[:, 1].tolist() == [1, 1]


def test_overlap_is_symmetric_and_reflexive():
    stream, start = torch.tensor([0, 0, 1, 1, 0]), torch.tensor([5, 9, 9, 40, 9])
    found = overlaps(stream, start, bars=5)
    assert torch.equal(found, found.T)
    assert found.diagonal().all()
    assert found[0].tolist() == [True, True, False, False, True]


def test_training_pulls_views_together():
    torch.manual_seed(0)
    x = torch.randn(16, 12, F)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    known = torch.ones(16, dtype=torch.bool)
    losses = []
    for _ in range(60):
        total, weight = summed_loss(model(x).contrast, known, known, torch.ones(16))
        losses.append((total / weight).item())
        optimizer.zero_grad()
        (total / weight).backward()
        optimizer.step()
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert all(p.grad is not None for p in model.encoder.lstm.parameters())


def test_padded_bars_do_not_matter():
    model = make(jitter=0.0).eval()
    x = torch.randn(4, 12, F)
    lengths = torch.tensor([12, 7, 3, 5])
    other = x.clone()
    for b, n in enumerate(lengths.tolist()):
        other[b, n:] = 99.0
    torch.manual_seed(1)
    first = model(x, lengths=lengths).contrast
    torch.manual_seed(1)
    torch.testing.assert_close(model(other, lengths=lengths).contrast, first)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature: want more than 0, got 0"):
        make(temperature=0)
