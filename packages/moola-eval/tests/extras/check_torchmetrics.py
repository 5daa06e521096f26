"""Run by name where torchmetrics is installed: pytest tests/extras/check_torchmetrics.py."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torchmetrics import MetricCollection

from moola_eval import stateful
from moola_eval.decoding import Decoder
from moola_eval.matching import Collar, Exact
from moola_eval.torchmetrics import (
    BarBrier,
    BarCalibrationError,
    BarF1,
    SegmentF1,
    Separation,
    SpanF1,
)

PAIRS = [
    (lambda: BarF1(threshold=0.4), stateful.BarF1(0.4)),
    (lambda: SpanF1(threshold=0.4), stateful.SpanF1(0.4)),
    (lambda: SpanF1(criterion=Exact()), stateful.SpanF1(criterion=Exact())),
    (
        lambda: SpanF1(criterion=Collar(1, 2), decoder=Decoder(merge_gap=2)),
        stateful.SpanF1(criterion=Collar(1, 2), decoder=Decoder(merge_gap=2)),
    ),
    (lambda: SegmentF1(size=5), stateful.SegmentF1(5)),
    (Separation, stateful.Separation()),
    (BarBrier, stateful.Brier()),
    (lambda: BarCalibrationError(bins=4), stateful.CalibrationError(4)),
]


def windows(seed, n, bars=23):
    rng = np.random.default_rng(seed)
    true = rng.random((n, bars)) < 0.3
    return true, np.round(0.5 * true + 0.5 * rng.random((n, bars)), 1).astype(np.float32)


@pytest.mark.parametrize(("make", "metric"), PAIRS)
def test_batches_give_the_number_of_the_function(make, metric):
    true, values = windows(0, 50)
    adapter = make()
    for begin in range(0, 50, 13):
        part = slice(begin, begin + 13)
        adapter.update(torch.from_numpy(values[part]), torch.from_numpy(true[part]))
    assert adapter.compute().item() == pytest.approx(metric(true, values).value, rel=1e-12)
    assert adapter.score().definition == metric(true, values).definition


@pytest.mark.parametrize(("make", "metric"), PAIRS)
def test_forward_gives_the_batch_and_adds_to_the_whole(make, metric):
    adapter, (a, b) = make(), (windows(1, 20), windows(2, 9))
    for true, values in (a, b):
        now = adapter(torch.from_numpy(values), torch.from_numpy(true.astype(np.int64)))
        assert now.item() == pytest.approx(metric(true, values).value, rel=1e-12)
    whole = metric(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))
    assert adapter.compute().item() == pytest.approx(whole.value, rel=1e-12)


def test_merged_states_equal_the_whole():
    one, two = SpanF1(), SpanF1()
    a, b = windows(3, 20), windows(4, 9)
    one.update(torch.from_numpy(a[1]), torch.from_numpy(a[0]))
    two.update(torch.from_numpy(b[1]), torch.from_numpy(b[0]))
    one.merge_state(two)
    whole = stateful.SpanF1()(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))
    assert one.compute().item() == whole.value


def test_reset_and_state_dict_keep_what_they_promise():
    true, values = windows(5, 8)
    adapter = BarF1()
    adapter.persistent(mode=True)
    adapter.update(torch.from_numpy(values), torch.from_numpy(true))
    other = BarF1()
    other.persistent(mode=True)
    other.load_state_dict(adapter.state_dict())
    assert other.sums.tolist() == adapter.sums.tolist()
    adapter.reset()
    assert adapter.sums.tolist() == [0.0, 0.0, 0.0]


def test_a_collection_names_them_and_knows_the_better_direction():
    true, values = windows(6, 8)
    found = MetricCollection([BarF1(), SpanF1(), BarBrier()])(
        torch.from_numpy(values), torch.from_numpy(true)
    )
    assert set(found) == {"BarF1", "SpanF1", "BarBrier"}
    assert (BarF1().higher_is_better, BarBrier().higher_is_better) == (True, False)


def test_decided_and_bfloat16_values_are_taken():
    true, values = windows(7, 8)
    decided = BarF1()
    decided.update(torch.from_numpy(values >= 0.5), torch.from_numpy(true))
    half = BarF1()
    half.update(torch.from_numpy(values).bfloat16(), torch.from_numpy(true))
    assert decided.compute().item() == half.compute().item()


def test_a_target_that_is_no_mask_is_refused():
    with pytest.raises(ValueError, match=r"target: want bool or 0/1, got 2 in row \(0, 1\)"):
        BarF1().update(torch.zeros(1, 3), torch.tensor([[0, 2, 1]]))


def _rank(rank, world, store, out):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    true, values = windows(8, 31)
    mine = slice(0, 0) if rank == 0 else slice(0, 31)  # one process sees nothing
    rows = []
    for make, _ in PAIRS:
        adapter = make()
        adapter.update(torch.from_numpy(values[mine]), torch.from_numpy(true[mine]))
        rows.append(adapter.compute().item())
    if rank == 0:
        np.save(out, np.array(rows))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_reduce_to_the_whole(tmp_path):
    mp.spawn(_rank, (2, tmp_path / "store", tmp_path / "rows.npy"), nprocs=2)
    true, values = windows(8, 31)
    wanted = [metric(true, values).value for _, metric in PAIRS]
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy"), wanted, rtol=1e-12)
