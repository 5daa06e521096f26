"""The two JSON exports of Label Studio, brought to one form: groups of regions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

LABELS = "timeserieslabels"
Kind = Literal["annotations", "predictions", "drafts", "cancelled"]
Key = str | int | None
Person = int | str | dict[str, object] | None


class _Part(BaseModel):
    """A part of an export: what is not asked about is not looked at."""

    model_config = ConfigDict(extra="ignore")


class Region(_Part):
    """One label on a stretch of time, or something else that an annotation holds."""

    id: Key = None
    type: str = ""
    value: dict[str, object] = {}


class _Annotation(_Part):
    id: Key = None
    completed_by: Person = None
    was_cancelled: bool = False
    result: list[Region] = []


class _Prediction(_Part):
    id: Key = None
    model_version: str | None = None
    result: list[Region] = []


class _Task(_Part):
    id: Key = None
    file_upload: str | None = None
    data: dict[str, object] = {}
    annotations: list[_Annotation] = []
    predictions: list[_Prediction | int] = []
    drafts: list[_Annotation] = []


class _MinimalRow(_Part):
    id: Key = None
    annotation_id: Key = None
    annotator: Person = None


class Origin(NamedTuple):
    """What a task says about its bars: the symbol, and the names of its files without hash."""

    symbol: str | None
    files: tuple[str, ...]


class Group(NamedTuple):
    """The regions of one annotation, prediction or draft."""

    place: str
    kind: Kind
    by: str
    origin: Origin
    regions: list[Region]


def read_groups(path: Path) -> list[Group]:
    """Reads an export of either kind.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no export.
    """
    if not path.is_file():
        raise FileNotFoundError(f"path: want a file, got {path}")
    try:
        rows = TypeAdapter(list[dict[str, object]]).validate_json(path.read_bytes())
        full = [i for i, row in enumerate(rows) if "annotations" in row or isinstance(row.get("data"), dict)]
        if full and len(full) < len(rows):
            wanted = "tasks in every row (JSON) or in none (JSON_MIN)"
            raise ValueError(f"{path.name}: want {wanted}, got some, the first in row {full[0]}")
        read = _task_groups if full else _minimal_groups
        return [group for index, row in enumerate(rows) for group in read(index, row)]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its top"
        raise ValueError(
            f"{path.name}: want a JSON export of Label Studio, got a file in which {where} breaks the form: "
            f"{first['msg']}"
        ) from error


def _task_groups(index: int, row: dict[str, object]) -> list[Group]:
    task = _Task.model_validate(row)
    name = f"task {_first(task.id, index)}"
    origin = _origin(task.data, task.file_upload)
    groups = []
    for i, one in enumerate(task.annotations):
        kind: Kind = "cancelled" if one.was_cancelled else "annotations"
        place = f"{name}, annotation {_first(one.id, i)}"
        groups.append(Group(place, kind, _person(one.completed_by), origin, one.result))
    for i, guess in enumerate(task.predictions):
        if not isinstance(guess, int):  # Some exports list predictions by number only.
            place = f"{name}, prediction {_first(guess.id, i)}"
            groups.append(Group(place, "predictions", guess.model_version or "", origin, guess.result))
    for i, draft in enumerate(task.drafts):
        place = f"{name}, draft {_first(draft.id, i)}"
        groups.append(Group(place, "drafts", _person(draft.completed_by), origin, draft.result))
    return groups


def _minimal_groups(index: int, row: dict[str, object]) -> list[Group]:
    """Reads a row of the minimal export: an annotation, its labels under the name of the control."""
    head = _MinimalRow.model_validate(row)
    regions = [
        Region(type=LABELS, value=label)
        for labels in row.values()
        if isinstance(labels, list)
        for label in labels
        if isinstance(label, dict) and LABELS in label
    ]
    place = f"task {_first(head.id, index)}, annotation {_first(head.annotation_id, index)}"
    return [Group(place, "annotations", _person(head.annotator), _origin(row, None), regions)]


def _origin(data: Mapping[str, object], upload: str | None) -> Origin:
    symbol = data.get("symbol")
    texts = [upload, *(value for value in data.values() if isinstance(value, str))]
    # Of "/data/upload/1/1f2e3d4c-NQ.csv" and "/data/local-files/?d=march/NQ.csv" the name counts.
    names = [re.split(r"[/\\=]", text)[-1] for text in texts if text]
    files = tuple(dict.fromkeys(re.sub(r"^[0-9a-f]{8}-", "", name) for name in names))
    return Origin(symbol if isinstance(symbol, str) else None, files)


def _person(who: Person) -> str:
    if isinstance(who, dict):
        who = str(_first(who.get("email"), who.get("id"), ""))
    return "" if who is None else str(who)


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
