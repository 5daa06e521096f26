import pytest
import torch

from moola_models.bar_pointers_heads import EndPointersHeadConfig, SoftPointersHeadConfig
from moola_models.config import JadeConfig
from moola_models.heads import States, Widths
from moola_models.jade import Jade
from moola_models.pointer_unit import to_fractions
from moola_models.pointers_head import PointersHeadConfig

WIDTHS = Widths(bar=2, pooled=2, dropout=0.0)
UNITS = ["origin", "exact"]


def states(bars_BKR, lengths=None):
    return States(bars_BKR, bars_BKR.mean(1), lengths)


@pytest.mark.parametrize("unit", UNITS)
def test_the_soft_centre_is_the_bar_whose_score_towers_above_the_others(unit):
    head = SoftPointersHeadConfig(unit=unit).build(WIDTHS)
    torch.nn.init.constant_(head.place.weight, 100.0)
    bars = torch.zeros(1, 9, 2)
    bars[0, 6] = 1.0
    centre = to_fractions(torch.tensor([6.0]), torch.tensor([1.0]), torch.tensor([9.0]), unit=unit)[:, 0]
    torch.testing.assert_close(head(states(bars))[:, 0], centre)


@pytest.mark.parametrize("unit", UNITS)
def test_ends_that_tower_above_the_others_give_their_span(unit):
    head = EndPointersHeadConfig(unit=unit).build(WIDTHS)
    with torch.no_grad():
        head.linear.weight.copy_(100 * torch.eye(2))
    bars = torch.zeros(1, 9, 2)
    bars[0, 2, 0] = bars[0, 6, 1] = 1.0
    wanted = to_fractions(torch.tensor([4.0]), torch.tensor([5.0]), torch.tensor([9.0]), unit=unit)
    torch.testing.assert_close(head(states(bars)), wanted)
    torch.testing.assert_close(head(states(bars), wanted), torch.zeros(1), atol=1e-4, rtol=0)
    assert [int(x) for x in head.distribution(states(bars)).best()] == [2, 6]


@pytest.mark.parametrize("unit", UNITS)
def test_the_likelihoods_of_all_spans_sum_to_one(unit):
    head = EndPointersHeadConfig(unit=unit).build(WIDTHS)
    start, end = torch.triu_indices(6, 6)
    every = to_fractions((start + end) / 2, (end - start + 1).float(), torch.tensor(6.0), unit=unit)
    bars = torch.randn(1, 6, 2).expand(len(start), 6, 2)
    torch.testing.assert_close(head(states(bars), every).exp().sum(), torch.tensor(1.0))


def test_a_window_without_a_known_span_gives_no_likelihood_and_no_gradient():
    head = EndPointersHeadConfig().build(WIDTHS)
    bars = torch.randn(2, 6, 2, requires_grad=True)
    likelihood = head(states(bars), torch.tensor([[torch.nan, 0.1], [0.5, 0.2]]))
    assert likelihood[0] == 0 > likelihood[1]
    likelihood.sum().backward()
    assert not bars.grad[0].any()
    assert bars.grad.isfinite().all()


def bumps(n, seed):
    """Noise with five bars of +2 somewhere, in two features; and where."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 40, 2, generator=generator)
    start = torch.randint(0, 35, (n,), generator=generator)
    for i in range(n):
        x[i, start[i] : start[i] + 5, 0] += 2.0
    bars = torch.full((n,), 40.0)
    return x, to_fractions(start + 2.0, torch.full((n,), 5.0), bars, unit="origin")


@pytest.mark.slow
def test_heads_that_see_the_bars_localise_where_the_pooled_head_cannot():
    x, pointers = bumps(256, 0)
    fresh, truth = bumps(512, 1)
    error = {}
    for head in (PointersHeadConfig(), SoftPointersHeadConfig(), EndPointersHeadConfig()):
        config = JadeConfig(
            input_size=2,
            hidden=8,
            projection=16 if head.pooled else None,
            heads=(head,),
            input_dropout=0,
            dense_dropout=0,
        )
        model = Jade(config, seed=0)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            targets = {"pointers": pointers} if isinstance(head, EndPointersHeadConfig) else None
            got = model(x, targets=targets).pointers
            loss = -got.mean() if targets else torch.nn.functional.huber_loss(got, pointers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            got = model.eval()(fresh).pointers
        error[head.kind] = 40 * (got - truth)[:, 0].abs().mean().item()  # in bars
    assert error["pointers_ends"] < 0.5 * error["pointers"]
    assert error["pointers_soft"] < 0.5 * error["pointers"]
