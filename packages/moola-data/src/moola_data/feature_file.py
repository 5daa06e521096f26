"""Features on disk, read as a memory map: a matrix larger than memory serves windows as well.

The file is an Arrow file with one column ``features``, a list of F float32 a bar, uncompressed, so that it is
the matrix itself; polars, pyarrow and DuckDB read it too. Names, set and warm-up stand in its metadata.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moola_data._atomic_file import atomic_file
from moola_data.schema import FeatureMatrix

KEY = b"moola_data"
COLUMN = "features"


class FeatureNames(BaseModel):
    """What stands beside the matrix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=1, ge=1, le=1)
    names: tuple[str, ...] = Field(min_length=1)
    feature_set: str
    warmup: int = Field(ge=0)


def write_features(path: str | os.PathLike[str], features: FeatureMatrix) -> None:
    """Writes features, whole or not at all.

    Args:
        path: A ``.arrow`` file; replaced if it exists.
        features: What `compute_features` gave, or a matrix of one's own.

    Raises:
        FileNotFoundError: There is no folder to write into.
        ValueError: The name ends otherwise, or there is no column.
    """
    target = Path(path)
    if target.suffix != ".arrow":
        raise ValueError(f"path: want a name ending in .arrow, got {target.name!r}")
    if not features.names:
        raise ValueError("features: want at least 1 column, got 0")
    told = FeatureNames(names=features.names, feature_set=features.feature_set, warmup=features.warmup)
    numbers = pa.array(np.ascontiguousarray(features.values).reshape(-1))
    rows = pa.FixedSizeListArray.from_arrays(numbers, len(features.names))
    schema = pa.schema([pa.field(COLUMN, rows.type)], metadata={KEY: told.model_dump_json().encode()})
    with atomic_file(target) as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.record_batch([rows], schema=schema))


def read_features(path: str | os.PathLike[str]) -> FeatureMatrix:
    """Reads features as a memory map: rows come from the disk when a window asks for them.

    Args:
        path: A file of `write_features`.

    Returns:
        The features; `values` is a read-only view of the file, f4 (N, F), C order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none that `write_features` writes.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"path: want a file, got {source}")
    try:
        with pa.memory_map(str(source)) as mapped, pa.ipc.open_file(mapped) as reader:
            schema, batches = reader.schema, reader.num_record_batches
            told = FeatureNames.model_validate_json((schema.metadata or {}).get(KEY, b"{}"))
            kind = pa.list_(pa.float32(), len(told.names))
            if batches != 1 or schema.names != [COLUMN] or schema.field(COLUMN).type != kind:
                raise ValueError(f"{batches} pieces of {', '.join(map(str, schema))}")
            numbers = reader.get_batch(0).column(0).flatten().to_numpy(zero_copy_only=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise ValueError(f"path: want a file of write_features, got {source}: {reason}") from error
    values = numbers.reshape(-1, len(told.names))
    return FeatureMatrix(values=values, names=told.names, feature_set=told.feature_set, warmup=told.warmup)
