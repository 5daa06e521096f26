"""Features on disk come back as they were, mapped rather than read, or are refused."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.expansion_rule import label_expansions
from moola_data.feature_file import read_features, write_features
from moola_data.features import compute_features
from moola_data.sample import load_sample
from moola_data.schema import FeatureMatrix
from moola_data.window_set import build_window_set
from moola_data.windows import gather


def matrix(rows: int, columns: int, seed: int = 0) -> FeatureMatrix:
    values = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    return FeatureMatrix(
        values=values, names=tuple(f"f{k}" for k in range(columns)), feature_set="mine", warmup=7
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(1, 40), st.integers(0, 9))
def test_what_is_written_comes_back(tmp_path_factory, rows, columns, seed):
    path, wanted = tmp_path_factory.mktemp("x") / "f.arrow", matrix(rows, columns, seed)
    wanted.values[rows // 2 :, 0] = np.nan
    write_features(path, wanted)
    found = read_features(path)
    np.testing.assert_array_equal(found.values, wanted.values)
    assert (found.names, found.feature_set, found.warmup) == (wanted.names, "mine", 7)
    assert found.values.flags.c_contiguous


def test_reading_maps_the_file_and_takes_no_memory(tmp_path):
    write_features(tmp_path / "f.arrow", matrix(200_000, 38))
    before = pa.total_allocated_bytes()
    found = read_features(tmp_path / "f.arrow")
    assert pa.total_allocated_bytes() == before
    assert not found.values.flags.owndata
    assert not found.values.flags.writeable


def test_a_mapped_matrix_serves_windows_as_one_in_memory_does(tmp_path):
    bars = load_sample()
    features = compute_features(bars, "jade")
    write_features(tmp_path / "f.arrow", features)
    mapped = read_features(tmp_path / "f.arrow")
    one, two = (
        build_window_set(bars, each, label_expansions(bars), stride=15) for each in (mapped, features)
    )
    np.testing.assert_array_equal(
        gather(one.features, one.starts[:9], length=105), gather(two.features, two.starts[:9], length=105)
    )
    assert np.shares_memory(one.features, mapped.values)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    write_features(tmp_path / "f.arrow", matrix(5, 2))
    table = pa.table({"features": [[1.0, 2.0]]})
    for name, metadata in {"a.arrow": {}, "b.arrow": {"moola_data": json.dumps({"names": []})}}.items():
        with (
            pa.OSFile(str(tmp_path / name), "wb") as file,
            pa.ipc.new_file(file, table.schema.with_metadata(metadata)) as writer,
        ):
            writer.write_table(table)
    (tmp_path / "c.arrow").write_bytes(b"ARROW1")
    (tmp_path / "d.arrow").write_bytes((tmp_path / "f.arrow").read_bytes()[:-9])
    (tmp_path / "e.arrow").write_bytes(b"")
    for name in "abcde":
        with pytest.raises(ValueError, match=rf"path: want a file of write_features, got .*{name}\.arrow: "):
            read_features(tmp_path / f"{name}.arrow")
    with pytest.raises(FileNotFoundError, match=r"path: want a file, got .*none\.arrow"):
        read_features(tmp_path / "none.arrow")


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path: want a name ending in \.arrow, got 'f\.npy'"):
        write_features(tmp_path / "f.npy", matrix(5, 2))
    with pytest.raises(ValueError, match="features: want at least 1 column, got 0"):
        write_features(tmp_path / "f.arrow", matrix(5, 0))
    assert list(tmp_path.iterdir()) == []
