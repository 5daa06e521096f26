import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_train import Examples, fit
from moola_train.feed import Share, fetched_ahead, gather, place, shares

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 50), batch_size=st.integers(1, 20), ranks=st.integers(1, 4))
def test_shares_of_all_ranks_are_the_batch_and_each_row_counts_once(n, batch_size, ranks):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    for filled in (False, True):
        per_rank = [
            shares(
                order,
                batch_size=batch_size,
                filled=filled,
                part=lambda rows, r=r: rows.tensor_split(ranks)[r],
            )
            for r in range(ranks)
        ]
        for number, rows in enumerate(order.split(batch_size)):
            counted = torch.cat([s[number].index[: s[number].count] for s in per_rank])
            assert torch.equal(counted, rows)
            assert all(len(s[number].index) > 0 for s in per_rank)
        if filled:
            assert all(len({len(share.index) for share in s}) == 1 for s in per_rank)


def test_rows_that_fill_up_have_no_weight_and_nothing_known(small):
    batch = gather(small.data(), Share(torch.tensor([3, 4, 5]), 1), CPU)
    assert batch.weight[0] > 0
    assert batch.weight[1:].tolist() == [0, 0]
    assert not batch.masks["kind"][1:].any()
    assert torch.equal(batch.inputs, small.data().inputs[3:6])


def test_fetched_ahead_gives_the_same_batches_in_order_from_another_thread(small):
    data, threads = small.data(), set()
    batch = data.batch

    def spy(index):
        threads.add(threading.current_thread().name)
        return batch(index)

    data.batch = spy
    wanted = shares(torch.arange(56), batch_size=8, filled=False, part=lambda rows: rows)
    found = list(fetched_ahead(data, wanted, CPU))
    assert len(found) == 7
    for share, each in zip(wanted, found, strict=True):
        assert torch.equal(each.inputs, data.inputs[share.index])
    assert all(name.startswith("feed") for name in threads)


def test_error_of_the_data_reaches_the_loop_and_the_thread_ends(small):
    data = small.data()

    def broken(index):
        if 20 in index:
            raise OSError("the file is gone")
        return Examples.batch(data, index)

    data.batch = broken
    wanted = shares(torch.arange(56), batch_size=8, filled=False, part=lambda rows: rows)
    with pytest.raises(OSError, match="gone"):
        list(fetched_ahead(data, wanted, CPU))
    half = fetched_ahead(small.data(), wanted, CPU)
    next(half)
    half.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("feed")]


class Movable:
    def __init__(self, nbytes):
        self.nbytes, self.device = nbytes, CPU

    def to(self, device):
        moved = Movable(self.nbytes)
        moved.device = device
        return moved


def test_data_moves_to_the_device_if_it_fits_and_stays_if_it_does_not(monkeypatch):
    monkeypatch.setattr("moola_train.feed.free_memory", lambda device: 1000)
    gpu = torch.device("cuda", 0)
    assert place(Movable(250), gpu, "auto").device == gpu
    assert place(Movable(251), gpu, "auto").device == CPU
    assert place(Movable(251), gpu, "device").device == gpu
    assert place(Movable(1), gpu, "host").device == CPU
    with pytest.raises(ValueError, match="residency: want data with nbytes"):
        place(object(), gpu, "device")


def test_moved_data_is_the_same_data_and_its_bytes_are_counted(small):
    data = small.data()
    moved, index = data.to("cpu"), torch.tensor([5, 1])
    assert torch.equal(moved.batch(index).inputs, data.batch(index).inputs)
    parts = [data.inputs, data.weight, *data.targets.values(), *data.masks.values()]
    assert data.nbytes == sum(t.numel() * t.element_size() for t in parts)


def test_data_that_is_rebuilt_for_every_example_is_announced(small, monkeypatch):
    data, clock = small.data(), [0.0]
    batch = data.batch

    def slow(index):
        clock[0] += 0.012 * len(index)
        return batch(index)

    data.batch = slow
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    with pytest.warns(RuntimeWarning, match="this will be slow because the data takes 12 ms an example"):
        fit(small.model(), data, small.tasks, None, small.config(epochs=1))
