import pytest
import torch

from moola_models.semi_markov import SemiMarkov
from moola_models.semi_markov_sums import messages, recorded_messages


def random_parts(B, K, D, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((B, K), (B, K), (B, K), (D,), ())
    ]


@pytest.mark.parametrize("D", [2, 3, 10])
@pytest.mark.parametrize("K", range(1, 9))
def test_gradients_of_the_partition_pass_gradcheck(K, D):
    lengths = torch.tensor([K, max(1, K - 3)])
    parts = random_parts(2, K, D, seed=K)
    assert torch.autograd.gradcheck(lambda *p: SemiMarkov(*p, lengths).log_partition(), parts)


def test_gradients_of_gradients_pass_gradcheck():
    lengths = torch.tensor([4, 3])
    assert torch.autograd.gradgradcheck(
        lambda *p: SemiMarkov(*p, lengths).log_partition(), random_parts(2, 4, 2)
    )


def test_messages_are_those_that_autograd_can_follow():
    parts = random_parts(3, 30, 5)
    for found, wanted in zip(messages(*parts), recorded_messages(*parts), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)


def test_log_outside_is_the_same_with_and_without_gradients():
    parts = random_parts(3, 30, 5)
    lengths = torch.tensor([30, 20, 1])
    with torch.no_grad():
        found = SemiMarkov(*parts, lengths).log_outside()
    wanted = SemiMarkov(*parts, lengths).log_outside()
    for b, length in enumerate(lengths):
        torch.testing.assert_close(found[b, :length], wanted[b, :length], rtol=0, atol=1e-11)


def test_single_precision_gradients_are_close_to_double():
    parts = random_parts(4, 105, 20)
    single = [part.detach().float().requires_grad_() for part in parts]
    SemiMarkov(*parts).log_partition().sum().backward()
    SemiMarkov(*single).log_partition().sum().backward()
    for found, wanted in zip(single, parts, strict=True):
        torch.testing.assert_close(found.grad.double(), wanted.grad, rtol=1e-3, atol=1e-5)


def test_autocast_takes_nothing_to_half_precision():
    parts = [part.detach().float().requires_grad_() for part in random_parts(3, 30, 5)]
    marks = torch.rand(3, 30, generator=torch.Generator().manual_seed(1)) < 0.4
    wanted = SemiMarkov(*parts).log_prob(marks)
    gradients = torch.autograd.grad(wanted.sum(), parts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = SemiMarkov(*parts).log_prob(marks)
        again = torch.autograd.grad(found.sum(), parts)
    assert torch.equal(found, wanted)
    for one, other in zip(again, gradients, strict=True):
        assert torch.equal(one, other)


def test_memory_of_the_gradient_is_linear_in_the_bars():
    def kept(K):
        saved = []
        keep = lambda tensor: saved.append(tensor.numel()) or tensor  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            SemiMarkov(*random_parts(2, K, 4)).log_partition()
        return sum(saved)

    assert kept(400) < 2.1 * kept(200)
