import pytest
import torch

from moola_models.pointer_unit import bars_of, to_bars, to_fractions

UNITS = ["origin", "exact"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("bars", [1, 2, 9, 105])
def test_every_span_comes_back(unit, bars):
    pairs = torch.triu_indices(bars, bars)
    start, end = pairs
    size = torch.full((len(start),), float(bars))
    fractions = to_fractions((start + end) / 2, (end - start + 1).float(), size, unit=unit)
    assert ((fractions >= 0) & (fractions <= 1)).all()
    got = to_bars(fractions, size, unit=unit)
    assert torch.equal(got[0], start)
    assert torch.equal(got[1], end)


def test_published_examples():
    """Bars 50..65 of 105 in the first system's unit, 10..50 in the exact one."""
    size = torch.tensor([105.0])
    origin = to_fractions(torch.tensor([57.5]), torch.tensor([16.0]), size, unit="origin")
    torch.testing.assert_close(origin, torch.tensor([[0.547619, 0.142857]]))
    exact = to_fractions(torch.tensor([30.0]), torch.tensor([41.0]), size, unit="exact")
    torch.testing.assert_close(exact, torch.tensor([[0.288462, 0.390476]]))


@pytest.mark.parametrize("unit", UNITS)
def test_wild_fractions_give_a_span_inside_the_window(unit):
    wild = 3 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    start, end = to_bars(wild, torch.full((200,), 9.0), unit=unit)
    assert ((start >= 0) & (start <= end) & (end <= 8)).all()


def test_a_window_has_its_own_number_of_bars():
    states = torch.zeros(2, 7, 3)
    assert bars_of(states, None).tolist() == [7, 7]
    assert bars_of(states, torch.tensor([3, 7])).tolist() == [3, 7]
