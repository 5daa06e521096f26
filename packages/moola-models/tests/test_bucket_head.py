import pytest
import torch
from pydantic import ValidationError

from moola_models.bucket_head import EDGES, BucketHeadConfig, bucket_middles, bucket_of, informative
from moola_models.heads import States, Widths

WIDTHS = Widths(bar=3, pooled=3, dropout=0.0)


@pytest.fixture
def states():
    bars = torch.randn(4, 30, 3, generator=torch.Generator().manual_seed(0))
    return States(bars, bars.mean(1), None)


def countdown(start):
    return (start - torch.arange(30.0)).expand(4, 30).clone()


def test_buckets_are_those_of_their_description():
    named = [(-99, -21), (-20, -11), (-10, -6), (-5, -3), (-2, -1), (0, 0), (1, 2), (3, 5), (6, 10), (11, 20)]
    for bucket, (low, high) in enumerate([*named, (21, 99)]):
        every = torch.arange(low, high + 1).float()
        assert bucket_of(every).tolist() == [bucket] * len(every)


def test_a_bucket_s_number_lies_in_the_bucket():
    assert torch.equal(bucket_of(bucket_middles(EDGES)), torch.arange(len(EDGES) + 1))


def test_the_band_is_inclusive_and_unknown_bars_are_outside():
    numbers = torch.tensor([-21.0, -20, 0, 20, 21, torch.nan])
    assert informative(numbers, band=20).tolist() == [False, True, True, True, False, False]
    assert informative(numbers, band=None).tolist() == [True] * 5 + [False]


def test_likelihood_is_minus_the_cross_entropy_of_the_bars_within_the_band(states):
    head = BucketHeadConfig(band=7).build(WIDTHS)
    target = countdown(11.0)
    logits = head.linear(states.bars)
    by_hand = torch.zeros(4)
    for bar in range(30):
        if abs(11 - bar) <= 7:
            label = torch.full((4,), sum(edge <= 11 - bar for edge in EDGES))
            by_hand -= torch.nn.functional.cross_entropy(logits[:, bar], label, reduction="none")
    torch.testing.assert_close(head(states, target), by_hand)


def test_bars_outside_the_band_get_no_gradient(states):
    head = BucketHeadConfig(band=3).build(WIDTHS)
    bars = states.bars.clone().requires_grad_()
    head(States(bars, states.pooled, None), countdown(11.0)).sum().backward()
    assert bars.grad.abs().sum((0, 2)).nonzero().flatten().tolist() == list(range(8, 15))


def test_a_window_without_a_start_gives_no_likelihood(states):
    target = countdown(11.0)
    target[2] = torch.nan
    likelihood = BucketHeadConfig().build(WIDTHS)(states, target)
    assert likelihood[2] == 0
    assert (likelihood[[0, 1, 3]] < 0).all()


def test_certain_buckets_give_their_middles(states):
    head = BucketHeadConfig(edges=(-2, 0, 1, 3)).build(WIDTHS)
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.copy_(torch.tensor([0.0, 0, 0, 100, 0]))
    torch.testing.assert_close(head(states), torch.full((4, 30), 1.5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"edges": (1, 0)}, "want ascending bars, got"),
        ({"edges": (0, 0)}, "want ascending bars, got"),
        ({"edges": ()}, "edges"),
        ({"band": -1}, "band"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValidationError, match=message):
        BucketHeadConfig(**settings)
