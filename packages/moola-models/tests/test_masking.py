import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moola_models.masking import Masking, draw_hidden

PATTERNS = ("random", "block", "patch", "runs")


def runs_of(row):
    """Lengths of the runs of True, by a walk."""
    lengths, current = [], 0
    for value in [*row.tolist(), False]:
        if value:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


@settings(deadline=None, max_examples=25)
@given(
    pattern=st.sampled_from(PATTERNS),
    ratio=st.floats(0.01, 0.99),
    bars=st.integers(1, 60),
    stop=st.floats(0.05, 1),
    longest=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_so_many_bars_are_hidden_and_only_valid_ones(pattern, ratio, bars, stop, longest, seed):
    masking = Masking(pattern=pattern, ratio=ratio, stop=stop, longest=longest)
    valid = torch.rand(6, bars, generator=torch.Generator().manual_seed(seed)) < 0.7
    valid[0], valid[1] = True, False
    hidden = draw_hidden(valid, masking, seed=seed)
    assert not (hidden & ~valid).any()
    for row, counted in zip(hidden, valid.sum(1).tolist(), strict=True):
        assert row.sum() == min(counted, max(1, int(counted * ratio + 1e-6)))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_seed_gives_the_same_mask_and_another_seed_another(pattern):
    valid = torch.ones(8, 105, dtype=torch.bool)
    masking = Masking(pattern=pattern)
    assert torch.equal(draw_hidden(valid, masking, seed=1), draw_hidden(valid, masking, seed=1))
    assert not torch.equal(draw_hidden(valid, masking, seed=1), draw_hidden(valid, masking, seed=2))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_seed_leaves_the_global_random_state_alone(pattern):
    before = torch.get_rng_state()
    draw_hidden(torch.ones(2, 20, dtype=torch.bool), Masking(pattern=pattern), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_the_restored_random_state_gives_the_same_mask():
    valid = torch.ones(4, 50, dtype=torch.bool)
    state = torch.get_rng_state()
    first, second = draw_hidden(valid, Masking()), draw_hidden(valid, Masking())
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(draw_hidden(valid, Masking()), first)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_bar_is_hidden_now_and_then(pattern):
    hidden = draw_hidden(torch.ones(4000, 20, dtype=torch.bool), Masking(pattern=pattern, ratio=0.3), seed=0)
    share = hidden.double().mean(0)
    assert share.min() > 0.02
    assert share.mean() == pytest.approx(0.3)


def test_random_hides_every_bar_equally_often():
    hidden = draw_hidden(torch.ones(9000, 20, dtype=torch.bool), Masking(pattern="random", ratio=0.3), seed=0)
    # Five standard deviations of a share of 0.3 in 9,000 draws.
    assert (hidden.double().mean(0) - 0.3).abs().max() < 5 * (0.3 * 0.7 / 9000) ** 0.5


def test_a_block_is_one_run_and_starts_anywhere_equally_often():
    hidden = draw_hidden(torch.ones(9000, 20, dtype=torch.bool), Masking(pattern="block", ratio=0.3), seed=0)
    assert all(runs_of(row) == [6] for row in hidden[:200])
    starts = torch.bincount(hidden.int().argmax(1), minlength=20) / 9000
    assert (starts[:15] - 1 / 15).abs().max() < 5 * (1 / 15 * 14 / 15 / 9000) ** 0.5
    assert starts[15:].sum() == 0


def test_patches_of_the_grid_are_hidden_whole():
    hidden = draw_hidden(torch.ones(500, 105, dtype=torch.bool), Masking(pattern="patch", ratio=0.2), seed=0)
    by_patch = hidden.reshape(500, 15, 7)
    assert torch.equal(by_patch.all(2), by_patch.any(2))
    assert (by_patch.any(2).sum(1) == 3).all()


def test_run_lengths_are_geometric_below_the_longest():
    masking = Masking(pattern="runs", ratio=0.004, stop=0.4, longest=4)
    hidden = draw_hidden(torch.ones(3000, 1000, dtype=torch.bool), masking, seed=0)
    assert (hidden.sum(1) == 4).all()
    # Four bars are hidden: a window shows a run of 4 if its first run had 4, and hardly otherwise, as runs
    # side by side are rare in 1,000 bars.
    full = (hidden.unfold(1, 4, 1).all(2)).any(1).double().mean().item()
    share = 0.4 * 0.6**3 / (1 - 0.6**4)
    assert full == pytest.approx(share, abs=5 * (share / 3000) ** 0.5 + 0.005)


def test_runs_are_longer_than_scattered_bars():
    valid = torch.ones(300, 105, dtype=torch.bool)
    mean = {}
    for pattern in ("random", "runs"):
        found = [n for row in draw_hidden(valid, Masking(pattern=pattern), seed=0) for n in runs_of(row)]
        mean[pattern] = sum(found) / len(found)
    assert mean["runs"] > 2 * mean["random"]


def test_padding_breaks_no_block():
    valid = torch.ones(50, 40, dtype=torch.bool)
    valid[:, 25:] = False
    hidden = draw_hidden(valid, Masking(pattern="block", ratio=0.4), seed=0)
    assert all(runs_of(row) == [10] for row in hidden)


@pytest.mark.parametrize("change", [{"ratio": 0}, {"ratio": 1}, {"patch": 0}, {"stop": 0}, {"longest": 0}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValidationError):
        Masking(**change)


def test_a_float_mask_is_refused():
    with pytest.raises(ValueError, match=r"valid_BK: want bool of shape \(B, K\), got torch.float32"):
        draw_hidden(torch.ones(2, 3), Masking())
