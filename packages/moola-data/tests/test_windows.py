"""Window starts, the view and batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.windows import gather, window_starts, window_view

X = np.arange(120, dtype=np.float32).reshape(40, 3)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(1, 15), max_size=6),
    st.integers(1, 8),
    st.integers(1, 5),
    st.integers(0, 6),
)
def test_starts_are_every_stride_th_bar_of_a_segment_that_leaves_room(sizes, length, stride, first):
    segment = np.repeat(np.arange(len(sizes)), sizes)
    heads = np.cumsum([0, *sizes])
    wanted = [
        s
        for head, size in zip(heads, sizes, strict=False)
        for s in range(head + first, head + size - length + 1, stride)
    ]
    assert window_starts(segment, length=length, stride=stride, first=first).tolist() == wanted


def test_a_view_copies_nothing_and_cannot_be_written():
    view = window_view(X, length=5)
    assert view.shape == (36, 5, 3)
    assert np.shares_memory(view, X)
    assert not view.flags.writeable
    assert np.array_equal(view[7], X[7:12])


def test_a_batch_holds_the_rows_of_its_windows_in_the_order_asked():
    assert np.array_equal(gather(X, [30, 0, 30], length=10), [X[30:40], X[0:10], X[30:40]])


def test_a_memory_mapped_matrix_gives_the_same_batch(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    batch = gather(mapped, [3, 1], length=4)
    assert np.array_equal(batch, gather(X, [3, 1], length=4))
    assert type(batch) is np.ndarray


def test_position_runs_from_0_to_1_beside_the_features():
    batch = gather(X, [3, 9], length=5, position=True)
    assert np.array_equal(batch[..., :3], gather(X, [3, 9], length=5))
    assert np.array_equal(batch[..., 3], [[0, 0.25, 0.5, 0.75, 1]] * 2)
    assert batch.dtype == np.float32


@pytest.mark.parametrize("start", [-1, 36])
def test_a_start_without_room_for_a_window_is_refused(start):
    with pytest.raises(ValueError, match=rf"starts: want 0..35, got {start} in row 1"):
        gather(X, [0, start], length=5)


def test_fewer_bars_than_a_window_are_refused():
    with pytest.raises(ValueError, match="at least 41 rows for a window, got 40"):
        window_view(X, length=41)
    assert len(window_starts(np.zeros(40), length=41)) == 0


@pytest.mark.parametrize("argument", ["length", "stride"])
def test_no_length_and_no_stride_are_refused(argument):
    with pytest.raises(ValueError, match=f"{argument}: want 1 or more, got 0"):
        window_starts(np.zeros(5), **({"length": 2} | {argument: 0}))
