"""Truth and predictions from CSV, JSON and NPZ files, checked row by row.

* spans (``.csv``): one row a span, columns ``window``, ``start``, ``end`` (both inclusive, counted from the
  window's first bar) and optionally ``type`` and, for predictions, ``score``. Rows in errors count from 0.
* spans (``.json``): ``{"spans": [{"window": 0, "start": 3, "end": 9}, ...]}`` with the same names. Truth may
  add ``length`` (bars a window), ``starts`` and ``group`` (one number a window) and ``type_names``.
* outputs (``.npz``): ``probability`` (n, K) and optionally ``pointers`` (n, 2), ``countdown`` (n, K),
  ``type_probability`` (n, C), ``starts`` (n,), ``group`` (n,). Nothing is unpickled.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moola_eval._arguments import BoolArray, FloatArray, IntArray
from moola_eval.schema import TrueSpans, Truth

Whole = Annotated[int, Field(ge=-(2**62), le=2**62)]
ARRAYS = ("probability", "pointers", "countdown", "type_probability", "starts", "group")


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable:
    """Spans of a file as columns; `score` and `type` are None where the file has no such column."""

    window: IntArray
    start: IntArray
    end: IntArray
    score: FloatArray | None
    type: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.window)


class _Span(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    window: Whole
    start: Whole
    end: Whole
    type: str | None = None
    score: float | None = None


class SpansFile(BaseModel):
    """The content of a JSON file of spans."""

    model_config = ConfigDict(extra="forbid", strict=True)

    length: int | None = Field(default=None, ge=1)
    starts: list[Whole] | None = None
    group: list[Whole] | None = None
    type_names: list[str] | None = None
    spans: list[_Span]


def read_spans(path: Path) -> tuple[SpanTable, SpansFile | None]:
    """Reads spans from CSV or JSON.

    Returns:
        The spans, and for JSON the whole content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The kind, a column or a cell is not what is described above.
    """
    _exists(path)
    if path.suffix == ".json":
        content = _parsed(path)
        return _table(content.spans), content
    if path.suffix == ".csv":
        return _csv(path), None
    raise ValueError(f"{path.name}: want a .csv or .json file of spans, got {path.suffix or 'no suffix'!r}")


def read_arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Reads the outputs of a model from NPZ; floats become float32, whole numbers int64.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no NPZ, an array is unknown or of another kind, or ``probability`` is missing.
    """
    _exists(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path.name}: want a .npz file, got {path.suffix or 'no suffix'!r}")
    found: dict[str, npt.NDArray[np.generic]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                found[name] = np.asarray(file[name])
    except (BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"{path.name}: want arrays of numbers in NPZ, got {error}") from error
    unknown = sorted(found.keys() - set(ARRAYS))
    if unknown:
        raise ValueError(f"{path.name}: want arrays among {list(ARRAYS)}, got {unknown[0]!r}")
    if "probability" not in found:
        raise ValueError(f"{path.name}: want an array 'probability', got {sorted(found)}")
    return {name: _number(path, name, array) for name, array in found.items()}


def read_truth(
    path: Path,
    *,
    shape: tuple[int, int] | None,
    starts: IntArray | None = None,
    group: IntArray | None = None,
) -> Truth:
    """Reads labelled windows.

    Args:
        path: CSV or JSON of spans.
        shape: Windows and bars a window, where the predictions tell; JSON tells them by itself.
        starts: (n,) first bar of each window; without it windows lie end to end.
        group: (n,) block of each window; without it each window is a block of its own.

    Returns:
        The truth. Type names are those of the JSON, else the types found, in alphabetical order.

    Raises:
        ValueError: The number of windows or bars is unknown or differs, or a type is not among the names.
    """
    table, content = read_spans(path)
    length = None if content is None else content.length
    n = None if content is None else _windows(content)
    if shape is not None:
        for what, told, wanted in (("windows", n, shape[0]), ("bars a window", length, shape[1])):
            if told is not None and told != wanted:
                raise ValueError(f"{path.name}: want {wanted} {what} as predicted, got {told}")
        n, length = shape
    if length is None:
        raise ValueError(f"{path.name}: want the bars of a window, by 'length' in JSON or --length, got none")
    if n is None:
        raise ValueError(
            f"{path.name}: want the number of windows, by 'group' in JSON or --windows, got none"
        )
    if content is not None:
        starts = starts if content.starts is None else np.array(content.starts, dtype=np.int64)
        group = group if content.group is None else np.array(content.group, dtype=np.int64)
    inside(path, table, n, length)
    kind, names = _types(path, table, None if content is None else content.type_names)
    return Truth(
        starts=np.arange(n, dtype=np.int64) * length if starts is None else starts,
        length=length,
        group=np.arange(n, dtype=np.int64) if group is None else group,
        spans=TrueSpans(window=table.window, start=table.start, end=table.end, type=kind),
        type_names=tuple(names),
    )


def inside(path: Path, table: SpanTable, n: int, length: int) -> None:
    """Raises ValueError where a span lies outside the windows or ends before it starts."""
    checks: list[tuple[BoolArray, str, IntArray]] = [
        ((table.window < 0) | (table.window >= n), f"window: want 0..{n - 1}", table.window),
        ((table.start < 0) | (table.start >= length), f"start: want 0..{length - 1}", table.start),
        ((table.end < table.start) | (table.end >= length), f"end: want start..{length - 1}", table.end),
    ]
    for bad, words, values in checks:
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"{path.name}: {words}, got {values[row]} in row {row}")


def _csv(path: Path) -> SpanTable:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            lines = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path.name}: want CSV in UTF-8, got {error}") from error
    head = [name.strip() for name in lines[0]] if lines else []
    known = ("window", "start", "end", "type", "score")
    for name in ("window", "start", "end"):
        if name not in head:
            raise ValueError(f"{path.name}: want columns window, start and end, got no {name!r} in {head}")
    for name in head:
        if name not in known or head.count(name) > 1:
            raise ValueError(f"{path.name}: want columns among {list(known)}, each once, got {name!r}")
    rows = lines[1:]
    for i, row in enumerate(rows):
        if len(row) != len(head):
            raise ValueError(f"{path.name}: want {len(head)} cells, got {len(row)} in row {i}")
    cells = {name: [row[k].strip() for row in rows] for k, name in enumerate(head)}
    score = None
    if "score" in cells:
        score = np.array([_float(path, i, cell) for i, cell in enumerate(cells["score"])])
    window, start, end = (_whole(path, name, cells[name]) for name in ("window", "start", "end"))
    return SpanTable(window, start, end, score, tuple(cells["type"]) if "type" in cells else None)


def _whole(path: Path, name: str, cells: Sequence[str]) -> IntArray:
    out = np.zeros(len(cells), dtype=np.int64)
    for i, cell in enumerate(cells):
        digits = cell.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise ValueError(f"{path.name}: {name}: want a whole number, got {cell!r} in row {i}")
        out[i] = int(cell)
    return out


def _float(path: Path, row: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path.name}: score: want a finite number, got {cell!r} in row {row}")
    return value


def _parsed(path: Path) -> SpansFile:
    try:
        return SpansFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{path.name}: {where}: {first['msg']}, got {first['input']!r:.60}") from error


def _table(spans: Sequence[_Span]) -> SpanTable:
    scores = [s.score for s in spans if s.score is not None]
    if scores and len(scores) != len(spans):
        raise ValueError(f"spans: want a score in all or in none, got {len(scores)} of {len(spans)}")
    return SpanTable(
        window=np.array([s.window for s in spans], dtype=np.int64),
        start=np.array([s.start for s in spans], dtype=np.int64),
        end=np.array([s.end for s in spans], dtype=np.int64),
        score=np.array(scores) if scores else None,
        type=tuple(s.type or "" for s in spans) if any(s.type for s in spans) else None,
    )


def _windows(content: SpansFile) -> int | None:
    counts = [len(values) for values in (content.starts, content.group) if values is not None]
    if len(set(counts)) > 1:
        raise ValueError(f"starts: want as many as group ({counts[1]}), got {counts[0]}")
    return counts[0] if counts else None


def _types(path: Path, table: SpanTable, names: Sequence[str] | None) -> tuple[IntArray, Sequence[str]]:
    kinds = table.type or ("",) * len(table)
    known = sorted({kind for kind in kinds if kind}) if names is None else names
    for row, kind in enumerate(kinds):
        if kind and kind not in known:
            raise ValueError(f"{path.name}: type: want one of {list(known)}, got {kind!r} in row {row}")
    number = {name: i for i, name in enumerate(known)} | {"": -1}
    return np.array([number[kind] for kind in kinds], dtype=np.int64), known


def _number(path: Path, name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    wanted = np.integer if name in ("starts", "group") else np.floating
    if not np.issubdtype(array.dtype, wanted):
        words = "whole numbers" if wanted is np.integer else "floats"
        raise ValueError(f"{path.name}: {name}: want {words}, got {array.dtype}")
    return array.astype(np.int64 if wanted is np.integer else np.float32)


def _exists(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"want a file, got {str(path)!r}, which is none")
