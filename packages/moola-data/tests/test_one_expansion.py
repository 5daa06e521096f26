import numpy as np
import pytest

from moola_data.bar_model import Prices, log_density, parts_of, past_of
from moola_data.one_expansion import _looks, _prior, one_expansion
from moola_data.posterior import stretches_of
from moola_data.spans import check_spans, visible_spans
from moola_data.world import World


@pytest.fixture(scope="module")
def ones():
    return one_expansion(600, seed=1, copies=True)


def base_of(ones):
    return ones.starts[ones.offset == 0]


def test_every_base_window_holds_one_whole_expansion(ones):
    check_spans(ones.spans, ones.bars)
    seen = visible_spans(ones.spans, base_of(ones), length=105)
    assert np.array_equal(seen.window, np.arange(600))
    assert not seen.cut.any()


def test_places_and_lengths_are_those_of_a_hand_made_set(ones):
    start = ones.spans.start - base_of(ones)
    size = ones.spans.end - ones.spans.start + 1
    assert (start.min(), start.max()) == (23, 85)
    assert (start + size - 1).max() <= 95
    assert abs(start.mean() - 52) < 2
    assert abs(start.std() - 13.7) < 1.5
    assert abs(size.mean() - 6.5) < 0.7
    assert abs(np.median(size) - 5) <= 1
    assert abs((ones.spans.type == 1).mean() - 0.43) < 0.07


def test_copies_are_cut_from_real_bars_and_show_enough(ones):
    base = base_of(ones)
    assert np.array_equal(ones.starts, base[ones.group] + ones.offset)
    assert set(ones.offset.tolist()) == {0, 52, -52}
    segment = ones.bars.segment
    assert np.array_equal(segment[ones.starts], segment[base[ones.group]])
    assert np.array_equal(segment[ones.starts + 104], segment[base[ones.group]])
    for i in np.flatnonzero(ones.offset):
        start, end = (getattr(ones.spans, k)[ones.group[i]] - ones.starts[i] for k in ("start", "end"))
        visible = max(0, min(104, end) - max(0, start) + 1)
        assert visible / (end - start + 1) >= 0.3


def test_almost_every_base_window_yields_one_copy(ones):
    assert 1.0 < (ones.offset != 0).sum() / 600 < 1.2


def test_without_copies_there_are_base_windows_only():
    ones = one_expansion(7, seed=1)
    assert len(ones.starts) == 7
    assert np.array_equal(ones.group, np.arange(7))


def test_the_same_seed_is_the_same_set():
    one, two, other = (one_expansion(4, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.bars.close, two.bars.close)
    assert np.array_equal(one.spans.start, two.spans.start)
    assert not np.array_equal(one.bars.close, other.bars.close)


def test_the_posterior_equals_a_plain_sum_over_hypotheses():
    # Few values of everything, and every hypothesis spelled out as a whole path of looks.
    world = World(drift_levels=(0.7, 1.1), consolidation_bars=(2, 3), retracement_bars=(1, 2))
    ones = one_expansion(1, seed=5, length=30, warmup=0, world=world, type_share=0.3)
    bars = ones.bars
    stretches = stretches_of(bars.segment)
    parts = parts_of(Prices(bars.open, bars.high, bars.low, bars.close), stretches, price=world.price)
    volatility, bounce = past_of(parts.body, stretches, world=world)
    drift, scale = _looks(world)
    logs = np.stack(
        [
            log_density(parts, volatility, bounce, drift=d, scale=s, world=world)
            for d, s in zip(drift, scale, strict=True)
        ]
    )
    prior, base = _prior(30), ones.starts[0]
    weight, masks = [], []
    for s, d in zip(*np.nonzero(prior), strict=True):
        for direction in (0, 1):
            for level in (0, 1):
                for look, share, sizes in ((1, 0.7, (2, 3)), (2 + direction, 0.3, (1, 2))):
                    for size in sizes:
                        path = np.zeros(len(bars), np.int64)
                        begin = base + s
                        path[begin - size : begin] = look
                        path[begin : begin + d + 1] = 4 + 2 * level + direction
                        total = logs[path, np.arange(len(bars))].sum()
                        weight.append(np.log(prior[s, d] * share / len(sizes) / 4) + total)
                        masks.append((np.arange(len(bars)) >= begin) & (np.arange(len(bars)) <= begin + d))
    weight = np.exp(np.array(weight) - max(weight))
    wanted = weight @ np.array(masks) / weight.sum()
    assert np.abs(ones.posterior - wanted).max() < 1e-9


def test_places_of_the_prior_add_up_to_one():
    for length in (30, 64, 105, 200):
        assert abs(_prior(length).sum() - 1) < 1e-12


def test_expected_and_realised_ceilings_agree():
    ceiling = one_expansion(1000, seed=2).ceiling
    assert abs(ceiling.bar.f1 - ceiling.bar.realised) < 0.02
    assert abs(ceiling.span.f1 - ceiling.span.realised) < 0.03


def test_without_signal_position_alone_is_worth_twice_predicting_everything():
    ceiling = one_expansion(1000, seed=2, signal=0).ceiling
    assert 1.8 < ceiling.bar.f1 / ceiling.predict_all < 2.4
    assert abs(ceiling.bar.f1 - ceiling.bar.realised) < 0.02


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n: want 1 or more, got 0"),
        ({"length": 20}, "length: want 30 or more, got 20"),
        ({"length": 40, "warmup": 3}, "warmup: want 10 or more, got 3"),
        ({"type_share": 1.5}, r"type_share: want 0\.\.1, got 1.5"),
    ],
)
def test_a_bad_argument_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        one_expansion(**{"n": 2, "seed": 1, **change})
