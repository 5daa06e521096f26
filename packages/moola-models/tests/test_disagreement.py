import math

import pytest
import torch

from moola_models.disagreement import disagreement_of_bars, disagreement_of_classes


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_passes_that_agree_have_no_information_and_no_deviation():
    same = drawn(1, 4, 3).softmax(-1).expand(7, 4, 3)
    got = disagreement_of_classes(same)
    torch.testing.assert_close(got.mean, same[0])
    assert got.deviation.abs().max() < 1e-12
    assert got.information.abs().max() < 1e-12
    assert (got.entropy > 0).all()


def test_numbers_are_those_of_the_definitions():
    p = drawn(5, 3).softmax(-1)
    got = disagreement_of_classes(p)
    mean = [sum(p[s, c].item() for s in range(5)) / 5 for c in range(3)]
    entropy = -sum(m * math.log(m) for m in mean)
    each = [-sum(q.item() * math.log(q.item()) for q in row) for row in p]
    assert got.entropy.item() == pytest.approx(entropy)
    assert got.information.item() == pytest.approx(entropy - sum(each) / 5)
    deviation = [math.sqrt(sum((p[s, c].item() - mean[c]) ** 2 for s in range(5)) / 5) for c in range(3)]
    assert got.deviation.tolist() == pytest.approx(deviation)


def test_bars_are_two_classes():
    p = drawn(6, 2, 9).sigmoid()
    one, other = disagreement_of_bars(p), disagreement_of_classes(torch.stack([1 - p, p], -1))
    torch.testing.assert_close(one.entropy, other.entropy)
    torch.testing.assert_close(one.information, other.information)
    torch.testing.assert_close(one.mean, other.mean[..., 1])
    torch.testing.assert_close(one.deviation, other.deviation[..., 1])


def test_information_is_at_most_the_entropy_and_that_of_sure_passes():
    p = (20 * drawn(50, 30)).sigmoid().round()
    got = disagreement_of_bars(p)
    torch.testing.assert_close(got.information, got.entropy)
    mixed = disagreement_of_bars(drawn(50, 30).sigmoid())
    assert ((mixed.information >= 0) & (mixed.information <= mixed.entropy)).all()


@pytest.mark.parametrize("bad", [torch.tensor([[1.5]]), torch.tensor([[torch.nan]]), torch.tensor([[-0.1]])])
def test_logits_are_refused(bad):
    with pytest.raises(ValueError, match=r"want numbers in 0\.\.1"):
        disagreement_of_bars(bad)


def test_no_passes_are_refused():
    with pytest.raises(ValueError, match="want a first axis of passes"):
        disagreement_of_classes(torch.zeros(0, 3))
