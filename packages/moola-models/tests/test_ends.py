import pytest
import torch

from moola_models.ends import Ends


def scores(bars, seed=0):
    return torch.randn(2, 4, bars, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(start, end):
    """Probabilities (K, K) of every pair of one window, from the definition."""
    K = len(start)
    table = torch.tensor(
        [[(start[s] + end[e]).exp() if s <= e else 0.0 for e in range(K)] for s in range(K)],
        dtype=torch.float64,
    )
    return table / table.sum(), table.sum().log()


@pytest.mark.parametrize("bars", range(1, 9))
def test_everything_equals_the_sum_over_all_pairs(bars):
    start, end = scores(bars)
    ends = Ends(start, end)
    place = torch.arange(bars, dtype=torch.float64)
    for b in range(4):
        p, log_total = by_hand(start[b], end[b])
        close = {"rtol": 0, "atol": 1e-12}
        torch.testing.assert_close(ends.log_partition()[b], log_total, **close)
        torch.testing.assert_close(ends.log_start()[b].exp(), p.sum(1), **close)
        torch.testing.assert_close(ends.log_end()[b].exp(), p.sum(0), **close)
        torch.testing.assert_close(ends.mean()[0][b], p.sum(1) @ place, **close)
        torch.testing.assert_close(ends.mean()[1][b], p.sum(0) @ place, **close)
        best = p.argmax()
        assert [int(x[b]) for x in ends.best()] == [int(best // bars), int(best % bars)]
        for s in range(bars):
            for e in range(s, bars):
                got = ends.log_prob(torch.full((4,), s), torch.full((4,), e))[b].exp()
                torch.testing.assert_close(got, p[s, e], **close)


def test_padded_windows_have_the_distribution_of_the_windows_alone():
    start, end = scores(8)
    lengths = torch.tensor([8, 5, 1, 2])
    together = Ends(start, end, lengths)
    for b, length in enumerate(lengths):
        alone = Ends(start[b : b + 1, :length], end[b : b + 1, :length])
        torch.testing.assert_close(together.log_partition()[b], alone.log_partition()[0])
        torch.testing.assert_close(together.log_start()[b, :length], alone.log_start()[0])
        assert not together.log_end()[b, length:].exp().any()
        assert [x[b] for x in together.best()] == [x[0] for x in alone.best()]
        assert [x[b] for x in together.mean()] == pytest.approx([x[0].item() for x in alone.mean()])


def test_gradients_are_those_of_finite_differences_with_padding():
    start, end = (s.requires_grad_() for s in scores(6).unbind(0))
    lengths = torch.tensor([6, 3, 1, 4])

    def numbers(start, end):
        ends = Ends(start, end, lengths)
        zero = torch.zeros(4, dtype=torch.long)
        return (ends.log_prob(zero, lengths - 1), *ends.mean())

    assert torch.autograd.gradcheck(numbers, (start, end))


def test_a_span_that_ends_before_it_starts_has_no_mass():
    """Scores that would put two independent softmaxes on start 3, end 1."""
    start, end = torch.tensor([[0.0, 0, 0, 9]]), torch.tensor([[0.0, 9, 0, 0]])
    first, last = Ends(start, end).mean()
    assert first <= last
    assert [int(x) for x in Ends(start, end).best()] in ([0, 1], [1, 1], [3, 3])


def test_huge_scores_stay_finite():
    start, end = 1e4 * scores(50).float()
    ends = Ends(start.requires_grad_(), end)
    ends.log_prob(torch.zeros(4, dtype=torch.long), torch.full((4,), 49)).sum().backward()
    assert start.grad.isfinite().all()
    assert all(x.isfinite().all() for x in ends.mean())
