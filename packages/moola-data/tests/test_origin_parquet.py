"""The brief's labelled Parquet: rows of one window become one window, and what does not fit is refused."""

import numpy as np
import pandas as pd
import pytest

from moola_data.countdown import countdown
from moola_data.features import compute_features
from moola_data.leaky_random_split import LeakWarning
from moola_data.origin_parquet import ColdFeaturesWarning, read_origin
from moola_data.origin_split import split_origin
from moola_data.span_mask import span_mask
from moola_data.spans import visible_spans
from moola_data.window_set import build_window_set

K = 105


def prices(seed):
    rng = np.random.default_rng(seed)
    close = 15_000 + np.cumsum(rng.integers(-8, 9, K)) / 4
    opened = np.r_[close[0], close[:-1]]
    high = np.maximum(opened, close) + rng.integers(0, 5, K) / 4
    low = np.minimum(opened, close) - rng.integers(0, 5, K) / 4
    return np.stack([opened, high, low, close], axis=1)


def row(name, seed, start, end, label="retracement"):
    return {
        "window_id": name,
        "label": label,
        "expansion_start": start,
        "expansion_end": end,
        "features": prices(seed).tolist(),
        "source": "keeper",
    }


ROWS = [
    row("12_exp_1", 0, 40, 45),
    row("batch_202510141302_007", 1, 10, 10, "consolidation"),
    row("12_exp_2", 0, 70, 78, "consolidation"),
    row("12_exp_1_offset+52", 2, 0, 3),
    row("12_exp_1_offset0", 3, 40, 45),
    row("7_exp_1_offset-52", 4, 90, 104),
    row("7_exp_3_offset-52", 4, 20, 24),
]


def write(tmp_path, rows):
    pd.DataFrame(rows).to_parquet(tmp_path / "train.parquet")
    return tmp_path / "train.parquet"


def read(tmp_path):
    path = write(tmp_path, ROWS)
    with pytest.warns(ColdFeaturesWarning, match="train.parquet holds . windows .* start cold in each"):
        return read_origin(path)


def test_rows_of_one_window_become_one_window_with_several_spans(tmp_path):
    found = read(tmp_path)
    assert found.names == ("12", "batch_202510141302_007", "12_offset+52", "12_offset0", "7_offset-52")
    assert found.group.tolist() == [0, 1, 0, 0, 2]
    assert found.length == K
    seen = visible_spans(found.spans, found.starts, length=K)
    assert list(zip(seen.window.tolist(), seen.start.tolist(), seen.end.tolist(), strict=True)) == [
        (0, 40, 45),
        (0, 70, 78),
        (1, 10, 10),
        (2, 0, 3),
        (3, 40, 45),
        (4, 20, 24),
        (4, 90, 104),
    ]
    assert not seen.cut.any()
    for window, seed in enumerate([0, 1, 2, 3, 4]):
        bars = slice(window * K, window * K + K)
        columns = [getattr(found.bars, n)[bars] for n in ("open", "high", "low", "close")]
        assert np.array_equal(np.stack(columns, axis=1), prices(seed))
        assert np.unique(found.bars.segment[bars]).size == 1
    assert "cold" in found.bars.source
    assert np.isnat(found.bars.time).all()


def test_kept_apart_rows_of_one_window_contradict_each_other_but_share_a_group(tmp_path):
    path = write(tmp_path, ROWS)
    with pytest.warns(ColdFeaturesWarning):
        found = read_origin(path, rows="span")
    assert len(found) == len(ROWS)
    assert found.group.tolist() == [0, 1, 0, 0, 0, 2, 2]
    mask = span_mask(visible_spans(found.spans, found.starts, length=K), windows=len(found), length=K)
    assert mask.sum(axis=1).tolist() == [6, 1, 9, 4, 6, 15, 5]
    assert np.array_equal(found.bars.close[:K], found.bars.close[2 * K : 3 * K])


def test_windows_go_whole_into_features_and_targets(tmp_path):
    found = read(tmp_path)
    split = split_origin(found, fractions=(0.34, 0.33, 0.33), seed=1)
    built = build_window_set(found.bars, compute_features(found.bars), found.spans, length=K, split=split)
    assert len(built) == 5
    left = countdown(built.spans, windows=5, length=K)
    assert left[0, [39, 40, 57, 70]].tolist() == [1, 0, 13, 0]


def test_a_group_is_never_in_two_parts(tmp_path):
    rows = [row(f"{i}_exp_{k}", i, 10 * k, 10 * k + 5) for i in range(9) for k in (1, 2, 3)]
    path = write(tmp_path, rows)
    with pytest.warns(ColdFeaturesWarning):
        found = read_origin(path, rows="span")
    split = split_origin(found)
    assert sorted(np.bincount(split.split).tolist()) == [6, 6, 15]
    assert all(len(set(split.split[found.group == g].tolist())) == 1 for g in range(9))


def test_the_split_by_row_leaks_and_says_so(tmp_path):
    rows = [row(f"{i}_exp_{k}", i, 10 * k, 10 * k + 5) for i in range(5) for k in (1, 2, 3)]
    path = write(tmp_path, rows)
    with pytest.warns(ColdFeaturesWarning):
        found = read_origin(path, rows="span")
    with pytest.warns(LeakWarning, match="3 of 3 test samples share time with training samples"):
        split = split_origin(found, by="row", fractions=(0.8, 0, 0.2))
    assert np.bincount(split.split).tolist() == [12, 0, 3]
    with pytest.raises(ValueError, match="no inner part by row"):
        split_origin(found, by="row")


def broken(**changes):
    rows = [dict(r) for r in ROWS]
    rows[2].update(changes)
    return rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "breakout"}, r"label: want one of .*, got 'breakout' in row 2"),
        ({"expansion_end": 105}, r"expansion_end: want a bar in 0..104, got 105 in row 2"),
        ({"expansion_start": -1}, r"expansion_start: want a bar in 0..104, got -1 in row 2"),
        ({"expansion_end": 69}, r"expansion_end: want at least 70, got 69 in row 2"),
        ({"features": prices(9).tolist()}, "want the prices of row 0, the same window, got others in row 2"),
        ({"features": prices(0)[:104].tolist()}, "want 105 bars as in row 0, got 104 in row 2"),
        ({"features": prices(0)[:, :3].tolist()}, r"want bars of 4 prices, got shape \(105, 3\) in row 2"),
        ({"features": None}, r"want bars of 4 prices, got shape \(0,\) in row 2"),
        ({"window_id": None}, "window_id: want a name, got (None|nan) in row 2"),
        ({"expansion_start": 40, "expansion_end": 45}, r"each span once, got 40..45 again in row 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_row(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_origin(write(tmp_path, broken(**changes)))


def test_prices_that_are_no_bar_are_refused_with_row_and_bar(tmp_path):
    bad = prices(1)
    bad[17, 1] = bad[17, 2] - 1
    rows = [ROWS[0], ROWS[2], {**ROWS[1], "features": bad.tolist()}]
    with pytest.raises(ValueError, match=r"got high < .* at bar 17 in row 2"):
        read_origin(write(tmp_path, rows))


def test_a_missing_column_and_a_file_that_is_none_are_refused(tmp_path):
    path = write(tmp_path, [{k: v for k, v in ROWS[0].items() if k != "label"}])
    with pytest.raises(ValueError, match="got no 'label'"):
        read_origin(path)
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match=r"want a readable \.parquet file, got .*x\.parquet"):
        read_origin(tmp_path / "x.parquet")
    with pytest.raises(FileNotFoundError):
        read_origin(tmp_path / "y.parquet")
