import math
import subprocess
import sys
import warnings

import pytest
import torch

from moola_models.pointer_layer import PointerConfig, PointerLayer


def test_scale_and_temperature_together_are_refused():
    with pytest.raises(ValueError, match="want a scale or a temperature, got both"):
        PointerConfig(scale=2.0, temperature=0.5)


@pytest.mark.parametrize(("config", "scale"), [({}, 1 / 0.07), ({"scale": 5}, 5), ({"temperature": 0.2}, 5)])
def test_the_scale_starts_where_the_configuration_says(config, scale):
    assert PointerLayer(3, 3, PointerConfig(**config)).scale.item() == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("learnable", [True, False])
def test_the_scale_is_always_in_the_state_dict_and_learned_only_if_asked(learnable):
    layer = PointerLayer(3, 3, PointerConfig(learnable=learnable))
    assert "log_scale" in layer.state_dict()
    assert ("log_scale" in dict(layer.named_parameters())) is learnable


def test_logits_are_scaled_cosines():
    layer = PointerLayer(4, 3, PointerConfig(scale=7)).double()
    states, rows = torch.randn(2, 5, 4).double(), 9 * torch.randn(6, 3).double()
    logits = layer(states, layer.keys(rows))
    for b, t, c in [(0, 0, 0), (1, 4, 5), (0, 3, 2)]:
        query = layer.query.weight @ states[b, t] + layer.query.bias
        cosine = query @ rows[c] / (query.norm() * rows[c].norm())
        assert logits[b, t, c].item() == pytest.approx(layer.scale.item() * cosine.item(), abs=1e-12)


def test_without_the_norm_lengths_count():
    states, rows = torch.randn(2, 4), torch.randn(6, 3)
    normed, free = (PointerLayer(4, 3, PointerConfig(norm=norm)) for norm in (True, False))
    free.load_state_dict(normed.state_dict())
    assert torch.allclose(normed(states, normed.keys(2 * rows)), normed(states, normed.keys(rows)), atol=1e-5)
    twice = free(states, free.keys(2 * rows))
    assert torch.allclose(twice, 2 * free(states, free.keys(rows)), atol=1e-4)


@pytest.mark.parametrize(("pushed", "held"), [(9.0, 100.0), (-3.0, 1.0)])
def test_the_scale_is_held_between_1_and_100_and_finds_its_way_back(pushed, held):
    layer = PointerLayer(3, 3)
    with torch.no_grad():
        layer.log_scale.fill_(pushed)
    logits = layer(torch.randn(4, 3), layer.keys(torch.eye(3)))
    assert layer.scale.item() == pytest.approx(held, rel=1e-6)
    assert layer.log_scale.item() == pytest.approx(math.log(held), rel=1e-6, abs=1e-7)
    logits.square().sum().backward()
    assert layer.log_scale.grad != 0


def test_accounts_that_are_not_allowed_get_nothing():
    layer = PointerLayer(3, 3)
    logits = layer(torch.randn(2, 4, 3), layer.keys(torch.eye(3)), allowed=torch.tensor([True, False, True]))
    p = logits.softmax(2)
    assert torch.all(p[..., 1] == 0)
    assert torch.all(logits[..., 1] == torch.finfo(logits.dtype).min)
    assert torch.allclose(p.sum(2), torch.ones(2, 4))


def test_a_mask_that_allows_nothing_is_refused():
    layer = PointerLayer(3, 3)
    allowed = torch.tensor([[True, False, True], [False, False, False]])
    with pytest.raises(ValueError, match="allowed: want one or more accounts, got none in row 1"):
        layer(torch.randn(2, 3), layer.keys(torch.eye(3)), allowed=allowed)


def test_half_precision_gives_logits_of_32_bits_and_finite_masks():
    layer = PointerLayer(3, 3).to(torch.bfloat16)
    rows = layer.keys(torch.eye(3, dtype=torch.bfloat16))
    logits = layer(torch.randn(2, 3).bfloat16(), rows, allowed=torch.tensor([True, False, True]))
    assert logits.dtype == torch.float32
    assert bool(logits.isfinite().all())


def test_a_scale_too_small_for_the_catalogue_is_warned_of():
    with pytest.warns(UserWarning, match="scale: want 9.30 or more for 575 accounts, got 5.00"):
        PointerLayer(3, 3, PointerConfig(scale=5), accounts=575)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PointerLayer(3, 3, PointerConfig(scale=9.4), accounts=575)
        PointerLayer(3, 3, PointerConfig(scale=5, norm=False), accounts=575)
        # The bound itself: at this scale a perfect cosine among orthogonal ones gets 95 %.
    scale = math.log(19 * 574)
    assert torch.tensor([scale] + 574 * [0.0]).softmax(0)[0].item() == pytest.approx(0.95, abs=1e-5)


TEN_THOUSAND = """
import resource, torch
from moola_models.entry_config import EntryConfig
from moola_models.entry_inputs import pack_entries
from moola_models.entry_model import EntryModel

codes = tuple(str(i) for i in range(10_000))
config = EntryConfig(accounts=codes, hidden=256, max_lines=40, flow={flow})
model = EntryModel(config, seed=0)
inputs = pack_entries(config, text=config.text.columns(["Rent for May"] * 32))
lines = {{"account": torch.randint(10_000, (32, 40)), "side": torch.randint(2, (32, 40))}}
out = model(inputs, targets=lines)
loss = torch.nn.functional.cross_entropy(out.account.flatten(0, 1), lines["account"].flatten())
loss = loss + out.side.square().mean() + out.stop.square().mean()
if out.flow is not None:
    loss = loss - out.flow.mean()
loss.backward()
assert all(p.grad is not None for p in model.parameters())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("flow", [False, True])
def test_ten_thousand_accounts_train_in_less_than_2_gb(flow):
    done = subprocess.run(
        [sys.executable, "-c", TEN_THOUSAND.format(flow=flow)], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kB elsewhere
    assert int(done.stdout) * unit < 2e9
