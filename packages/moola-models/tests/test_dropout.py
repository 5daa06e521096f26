import pytest
import torch
from torch import nn

from moola_models.dropout import Dropout


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("rate", [0.001, 0.3, 0.6, 0.999])
def test_elements_are_dropped_at_the_rate_and_the_mean_is_kept(rate):
    n = 1_000_000
    out = Dropout(rate)(torch.ones(n))
    dropped = (out == 0).float().mean().item()
    assert dropped == pytest.approx(rate, abs=5 * (rate * (1 - rate) / n) ** 0.5)
    assert out.mean().item() == pytest.approx(1, abs=5 * (rate / (1 - rate) / n) ** 0.5)
    assert out.unique().tolist() == pytest.approx([0, 1 / (1 - rate)], rel=0.01)


def test_every_place_in_a_word_drops_alike_and_on_its_own():
    """Neighbours share a 64-bit word: none of the four may be biased or follow another."""
    out = Dropout(0.5)(torch.ones(400_000)).reshape(-1, 4) - 1
    assert out.mean(0).abs().max() < 5 / 100_000**0.5
    assert (out.T @ out / 100_000 - torch.eye(4)).abs().max() < 5 / 100_000**0.5
    bias = Dropout(0.9)(torch.ones(400_000)).reshape(-1, 4).mean(0) - 1
    assert bias.abs().max() < 5 * 3 / 100_000**0.5


def test_the_global_seed_decides():
    one = Dropout(0.5)(torch.ones(99))
    other = Dropout(0.5)(torch.ones(99))
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.5)(torch.ones(99)), one)
    assert not torch.equal(one, other)


def test_the_gradient_is_dropped_and_scaled_alike():
    x = torch.randn(5, 7, 3, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    torch.testing.assert_close(out, x * x.grad)
    assert set(x.grad.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (3, 0, 2), (2, 3, 7)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_any_shape_and_type_come_back(shape, dtype):
    out = Dropout(0.5)(torch.ones(shape, dtype=dtype))
    assert out.shape == shape
    assert out.dtype == dtype


def test_a_strided_input_is_taken():
    x = torch.arange(1.0, 13).reshape(3, 4).T
    out = Dropout(0.5)(x)
    assert torch.equal(out[out > 0], 2 * x[out > 0])


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_evaluation_and_extreme_rates_are_torch_s(rate):
    x = torch.randn(50)
    assert Dropout(rate).eval()(x) is x
    if rate != 0.4:
        assert torch.equal(Dropout(rate)(x), nn.Dropout(rate)(x))


def test_it_is_torch_s_module_for_everyone_else():
    assert isinstance(Dropout(0.3), nn.Dropout)
    assert not Dropout(0.3).state_dict()
    with pytest.raises(ValueError, match="between 0 and 1"):
        Dropout(1.5)


def test_it_compiles():
    torch.compiler.reset()
    compiled = torch.compile(Dropout(0.5), fullgraph=True, backend="eager")
    assert set(compiled(torch.ones(1000)).unique().tolist()) == {0.0, 2.0}
