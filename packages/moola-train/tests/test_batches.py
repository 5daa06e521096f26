from types import SimpleNamespace

import numpy as np
import pytest
import torch

from moola_train import Examples, WindowedBars


def windows(**changes):
    rng = np.random.default_rng(0)
    n, bars, length = 6, 40, 7
    made = {
        "features": rng.normal(size=(bars, 3)).astype("f4"),
        "starts": np.array([0, 5, 9, 20, 30, 33]),
        "length": length,
        "position": False,
        "targets": {"span": rng.random((n, length)).astype("f4"), "type": rng.integers(0, 3, n)},
        "masks": {"span": np.ones((n, length), bool), "type": np.ones(n, bool)},
        "weight": np.ones(n, "f4"),
        "group": np.arange(n),
        "split": np.array([0, 0, 0, 1, 2, 2], "i1"),
    }
    return SimpleNamespace(**(made | changes))


def test_batch_is_the_windows_of_the_index():
    source = windows()
    batch = WindowedBars(source).batch(torch.tensor([4, 1]))
    for row, window in enumerate((4, 1)):
        start = source.starts[window]
        assert np.array_equal(batch.inputs[row].numpy(), source.features[start : start + 7])
        assert np.array_equal(batch.targets["span"][row].numpy(), source.targets["span"][window])
        assert batch.targets["type"][row] == source.targets["type"][window]


def test_position_runs_from_0_to_1_as_last_feature():
    batch = WindowedBars(windows(position=True)).batch(torch.tensor([0, 5]))
    assert batch.inputs.shape == (2, 7, 4)
    torch.testing.assert_close(batch.inputs[1, :, -1], torch.arange(7) / 6)


def test_features_are_shared_not_copied():
    source = windows()
    data = WindowedBars(source)
    source.features[:] = 0
    assert not data.batch(torch.tensor([2])).inputs.any()


@pytest.mark.parametrize("start", [-1, 34])
def test_window_outside_the_bars_is_refused(start):
    source = windows()
    source.starts[3] = start
    with pytest.raises(ValueError, match=rf"starts: want 0\.\.33, got {start} in row 3"):
        WindowedBars(source)


def test_nan_inside_a_window_names_the_bar():
    source = windows()
    source.features[22, 1] = np.nan
    with pytest.raises(ValueError, match=r"in row 22 \(window 3"):
        WindowedBars(source)


def test_nan_outside_every_window_is_nobodys_business():
    source = windows()
    source.features[18, 1] = np.nan
    assert len(WindowedBars(source)) == 6


def test_nan_target_is_refused_only_where_known():
    source = windows()
    source.targets["span"][2, 4] = np.nan
    with pytest.raises(ValueError, match=r"targets\['span'\].*row 2"):
        WindowedBars(source)
    source.masks["span"][2, 4] = False
    assert len(WindowedBars(source)) == 6


def test_negative_weight_is_refused():
    source = windows()
    source.weight[1] = -1
    with pytest.raises(ValueError, match=r"weight: .* in row 1"):
        WindowedBars(source)


def test_fingerprint_changes_with_any_content():
    first = WindowedBars(windows()).fingerprint
    assert first == WindowedBars(windows()).fingerprint
    source = windows()
    source.targets["span"][5, 6] += 1
    assert WindowedBars(source).fingerprint != first
    assert WindowedBars(windows(position=True)).fingerprint != first


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match="dim 'n'"):
        WindowedBars(windows(weight=np.ones(5, "f4")))


def test_examples_refuse_rows_that_do_not_match():
    with pytest.raises(ValueError, match=r"targets\['y'\]: want 4 rows as in inputs, got 3"):
        Examples(torch.zeros(4, 2), targets={"y": torch.zeros(3)})


def test_examples_refuse_a_mask_of_no_target():
    with pytest.raises(ValueError, match="masks: want names of targets"):
        Examples(torch.zeros(4), targets={"y": torch.zeros(4)}, masks={"z": torch.ones(4, dtype=torch.bool)})
