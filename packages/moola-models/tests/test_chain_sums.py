import math

import pytest
import torch

from moola_models.chain import Chain


def random_parts(B, K, T, *, seed=0, per_window=False):
    generator = torch.Generator().manual_seed(seed)
    ends = (B, T) if per_window else (T,)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((B, K, T), ends, (T, T), ends)
    ]


def padding(K, *, padded):
    return torch.tensor([K, max(1, K - 3), 1]) if padded else None


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("T", [2, 3])
@pytest.mark.parametrize("K", range(1, 9))
def test_gradients_of_the_partition_pass_gradcheck(K, T, padded):
    parts = random_parts(3, K, T, seed=K)
    assert torch.autograd.gradcheck(lambda *p: Chain(*p, padding(K, padded=padded)).log_partition(), parts)


def test_gradients_for_start_and_end_scores_of_each_window_pass_gradcheck():
    parts = random_parts(3, 5, 2, per_window=True)
    assert torch.autograd.gradcheck(lambda *p: Chain(*p).log_partition(), parts)


@pytest.mark.parametrize("padded", [False, True])
def test_gradients_of_gradients_pass_gradcheck(padded):
    parts = random_parts(3, 4, 2)
    assert torch.autograd.gradgradcheck(lambda *p: Chain(*p, padding(4, padded=padded)).log_prob(TAGS), parts)


TAGS = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]])


@pytest.mark.parametrize("T", [2, 4])
@pytest.mark.parametrize("K", [1, 2, 7, 20])
def test_products_and_logarithms_give_the_same_partition(K, T):
    parts = [part.detach() for part in random_parts(2, K, T)]
    scaled, logarithmic = (Chain(*parts, None, forbidden).log_partition() for forbidden in (False, True))
    torch.testing.assert_close(scaled, logarithmic, rtol=0, atol=1e-11)


def test_memory_of_the_gradient_is_linear_in_the_bars():
    def kept(K):
        saved = []
        keep = lambda tensor: saved.append(tensor.numel()) or tensor  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            Chain(*random_parts(2, K, 2)).log_partition()
        return sum(saved)

    assert kept(2048) < 2.1 * kept(1024)


@pytest.mark.parametrize("T", [2, 4])
@pytest.mark.parametrize("emitted", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("stay", [5.0, 17.0, 18.0, 40.0, 1e4])
def test_no_range_of_scores_exhausts_single_precision(T, emitted, stay):
    """Changing the tag costs `stay`: in products of probabilities that would soon be no number at all."""
    drawn = [part.detach() for part in random_parts(4, 60, T)]
    drawn[0] *= emitted
    drawn[2] = -stay * (1 - torch.eye(T, dtype=torch.float64))
    found = []
    for dtype in (torch.float32, torch.float64):
        parts = [part.to(dtype).requires_grad_() for part in drawn]
        if dtype == torch.float32:
            partition = Chain(*parts).log_partition()
        else:
            emissions, start, transitions, end = parts
            reached = start + emissions[:, 0]
            for bar in range(1, 60):
                reached = torch.logsumexp(reached[:, :, None] + transitions, 1) + emissions[:, bar]
            partition = torch.logsumexp(reached + end, 1)
        found.append([partition, *torch.autograd.grad(partition.sum(), parts)])
    for single, double in zip(*found, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5 * emitted)


def test_ends_that_contradict_the_last_bar_do_not_exhaust_single_precision():
    emissions = torch.zeros(1, 6, 2)
    emissions[0, -1, 0] = -150.0
    chain = Chain(emissions, torch.zeros(2), torch.zeros(2, 2), torch.tensor([0.0, -200.0]))
    # The last tag is 0 at a price of 150; the five bars before it are free.
    torch.testing.assert_close(chain.log_partition(), torch.tensor([5 * math.log(2) - 150]))


@pytest.mark.parametrize("name", ["transitions", "end"])
def test_infinite_scores_without_forbidden_are_refused(name):
    parts = {"start": torch.zeros(2), "transitions": torch.zeros(2, 2), "end": torch.zeros(2)}
    parts[name].view(-1)[1] = -torch.inf
    with pytest.raises(ValueError, match=f"^{name}: want finite scores, or forbidden=True"):
        Chain(torch.zeros(1, 3, 2), **parts).log_partition()
