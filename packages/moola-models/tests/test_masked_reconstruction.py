import math

import pytest
import torch
from torch import nn

from moola_models.config import JadeConfig
from moola_models.jade import Jade
from moola_models.masked_reconstruction import (
    MaskedReconstruction,
    feature_scale,
    least_error,
    summed_loss,
)
from moola_models.masking import Masking, draw_hidden

F = 3


def encoder(hidden=8):
    config = JadeConfig(input_size=F, hidden=hidden, projection=None, heads=("span",), input_dropout=0)
    return Jade(config, seed=0)


def make(**settings):
    return MaskedReconstruction(encoder(), torch.ones(F), width=16, **settings)


@pytest.fixture
def x():
    return torch.randn(4, 20, F, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def hidden():
    chosen = torch.zeros(4, 20, dtype=torch.bool)
    chosen[:, 5:8] = chosen[1, 12] = True
    return chosen


def test_changing_a_hidden_value_changes_no_output(x, hidden):
    model = make().eval()
    nn.init.normal_(model.token)
    before = model.predict(x, hidden)
    for value in (1e6, math.nan, math.inf):
        assert torch.equal(model.predict(x.masked_fill(hidden[:, :, None], value), hidden), before)


def test_changing_a_seen_value_changes_the_hidden_bars_output(x, hidden):
    model = make().eval()
    changed = x.clone()
    changed[:, 0] += 1
    moved = (model.predict(changed, hidden) - model.predict(x, hidden)).abs().amax(2)
    assert (moved[hidden] > 0).all()


def test_no_gradient_reaches_hidden_values(x, hidden):
    x.requires_grad_()
    make().predict(x, hidden).square().sum().backward()
    assert (x.grad[hidden] == 0).all()
    assert (x.grad[~hidden] != 0).any()


def test_the_token_learns(x):
    model = make()
    model(x).reconstruction[:, 0].sum().backward()
    assert (model.token.grad != 0).all()


def test_only_hidden_bars_count_and_the_sum_is_the_huber_loss(x):
    model = make(masking=Masking(ratio=0.2)).eval()
    chosen = draw_hidden(torch.ones(4, 20, dtype=torch.bool), model.masking, seed=model.seed)
    error = (model.predict(x, chosen) - x).abs()
    each = torch.where(error < 1, 0.5 * error**2, error - 0.5)
    out = model(x)
    assert out.reconstruction[:, 1].tolist() == [4 * F] * 4
    for b in range(4):
        torch.testing.assert_close(out.reconstruction[b, 0], each[b][chosen[b]].sum())
        torch.testing.assert_close(out.absolute[b, 0], error[b][chosen[b]].sum())


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_padded_bars_change_neither_loss_nor_gradient(x, value):
    lengths = torch.tensor([20, 13, 7, 1])
    results = []
    for filling in (0.0, value):
        model = make(masking=Masking(ratio=0.3)).train()
        padded = x.clone()
        for b, n in enumerate(lengths.tolist()):
            padded[b, n:] = filling if b else padded[b, n:]
        torch.manual_seed(3)
        # An encoder is promised finite padding; the wrapper itself must not read it at all.
        out = model(padded.nan_to_num(0, 0, 0) if filling != 0 else padded, lengths=lengths)
        out.reconstruction[:, 0].sum().backward()
        results.append((out.reconstruction, model.token.grad))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    assert results[0][0][:, 1].tolist() == [6 * F, 3 * F, 2 * F, F]


def test_bars_that_do_not_count_are_seen_but_never_hidden(x):
    counts = torch.ones(4, 20, dtype=torch.bool)
    counts[:, :15] = False
    model = make(masking=Masking(ratio=0.9)).eval()
    out = model(x, targets={"reconstruction": counts})
    assert out.reconstruction[:, 1].tolist() == [4 * F] * 4
    changed = x.clone()
    changed[:, 3] += 1
    assert not torch.equal(
        out.reconstruction, model(changed, targets={"reconstruction": counts}).reconstruction
    )


def test_a_window_without_counting_bars_adds_nothing(x):
    counts = torch.ones(4, 20, dtype=torch.bool)
    counts[2] = False
    out = make()(x, targets={"reconstruction": counts}).reconstruction
    assert out[2].tolist() == [0, 0]
    ones = torch.ones(4)
    total, weight = summed_loss(out, counts, counts, ones)
    assert torch.isfinite(total)
    assert weight == out[:, 1].sum()


def test_micro_batches_add_up(x):
    out = make().eval()(x).reconstruction
    mask, weight = torch.ones(4, dtype=torch.bool), torch.tensor([1.0, 2.0, 0.0, 0.5])
    whole = torch.stack(summed_loss(out, mask, mask, weight))
    parts = sum(
        torch.stack(summed_loss(out[s], mask[s], mask[s], weight[s])) for s in (slice(3), slice(3, 4))
    )
    torch.testing.assert_close(whole, parts)
    torch.testing.assert_close(whole[0], (out[:, 0] * weight).sum())


def trained_error(cheat):
    """Mean absolute error on fresh noise of a model that had every chance to learn."""
    torch.manual_seed(0)
    model = MaskedReconstruction(
        encoder(16), torch.ones(F), width=32, jitter=0.1, masking=Masking(pattern="random", ratio=0.4)
    )
    if cheat:
        model.predict = lambda x, hidden, lengths=None: model.readout(model.encoder.encode(x)).float()
    x = torch.zeros(64, 10, F)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        total, count = model(x).reconstruction.sum(0)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
    with torch.no_grad():
        total, count = sum(model(x).absolute.sum(0) for _ in range(20))
    return (total / count).item()


def test_fresh_noise_cannot_be_foreseen_and_a_model_that_sees_hidden_values_gives_itself_away():
    floor = least_error(0.1)
    # 20 * 64 * 4 * 3 numbers: three standard errors are 2.6 % of the floor.
    assert 0.974 * floor < trained_error(cheat=False) < 1.1 * floor
    assert trained_error(cheat=True) < 0.7 * floor


def test_the_floor_is_the_mean_absolute_value_of_noise():
    drawn = 0.03 * torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert drawn.abs().mean().item() == pytest.approx(least_error(0.03), rel=0.01)


def test_a_constant_and_a_quantised_feature_do_not_drown_the_others(x):
    x[..., 0] = 5.0
    x[..., 1] = 1e-6 * (x[..., 1] > 0)
    scale = feature_scale(x, least=0.03)
    torch.testing.assert_close(scale[:2], torch.tensor([0.03, 0.03]))
    torch.testing.assert_close(scale[2], x[..., 2].std(correction=0))
    model = MaskedReconstruction(encoder(), scale, width=16, jitter=1.0)
    # The scale is a unit, not an origin: the constant's offset is learned by the layer's bias.
    with torch.no_grad():
        model.readout.bias[0] = 5.0 / 0.03
    out = model(x).reconstruction
    loss = out[:, 0].sum() / out[:, 1].sum()
    assert loss < 5


def test_the_scale_is_that_of_valid_bars(x):
    valid = torch.zeros(4, 20, dtype=torch.bool)
    valid[:, :10] = True
    x[:, 10:] = math.nan
    torch.testing.assert_close(
        feature_scale(x, valid, least=1e-3), x[:, :10].reshape(-1, F).std(0, correction=0)
    )
    with pytest.raises(ValueError, match="x_nKF: want finite numbers at valid bars"):
        feature_scale(x, least=1e-3)


def test_evaluation_repeats_itself_and_training_does_not(x):
    model = make(jitter=0.1)
    model.eval()
    assert torch.equal(model(x).reconstruction, model(x).reconstruction)
    model.train()
    assert not torch.equal(model(x).reconstruction, model(x).reconstruction)


def test_construction_leaves_the_global_random_state_alone_and_the_seed_decides(x):
    weights = [make(seed=s).readout.weight for s in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    before = torch.get_rng_state()
    make(seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_wrapped_is_refused(x):
    with pytest.raises(TypeError, match="encoder: want a module with encode"):
        MaskedReconstruction(nn.Linear(3, 3), torch.ones(3), width=16)
    with pytest.raises(ValueError, match="scale: want"):
        MaskedReconstruction(encoder(), torch.tensor([1.0, 0.0, 1.0]), width=16)
    with pytest.raises(ValueError, match=r"x_BKF: want shape \(batch, bars, 3\), got \(4, 20, 2\)"):
        make()(x[:, :, :2])
