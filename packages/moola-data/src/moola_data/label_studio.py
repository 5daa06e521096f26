"""Spans from Label Studio's time-series labels: the full JSON export and the minimal one (JSON_MIN).

What such exports hold in practice, and what is made of it:

* times as milliseconds (number or text), as "2024-02-13 09:30" or with a zone: brought to UTC;
* names of uploaded files with a hash in front ("1f2e3d4c-NQ.csv"): the hash does not count;
* instants, which are one bar; labels of no length, which with ``closed="both"`` are one bar too;
* ends between bars, outside them or missing: snapped, clipped or refused, and reported;
* several annotators of one task, cancelled annotations, predictions, drafts: ignored unless asked for.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from moola_data._bar_clock import BarClock, Bend, Closed, RefusedError, stamp
from moola_data._intake import Intake, Labelled
from moola_data._label_studio_export import LABELS, Group, Origin, Region, read_groups
from moola_data._moment import nanoseconds, read_moment
from moola_data.import_report import ImportReport
from moola_data.schema import Bars, Spans
from moola_data.spans_file import TYPES

Wanted = Literal["annotations", "predictions"]


def read_label_studio(
    path: str | os.PathLike[str],
    bars: Bars,
    *,
    closed: Closed = "both",
    types: Sequence[str] = TYPES,
    label: str | None = None,
    annotator: str | None = None,
    wanted: Wanted = "annotations",
    files: Mapping[str, str] | None = None,
    tolerance: datetime.timedelta | None = None,
) -> tuple[Spans, ImportReport]:
    """Reads the spans of one annotator.

    A task belongs to the symbol that its data name in a field ``symbol``; failing that, to the one that
    `files` gives for its file; failing that, to the one that its file is named after; failing that, to the
    only one.

    Args:
        path: The exported file.
        bars: The bars that were labelled.
        closed: "left" if a label ends where its last bar ends, "both" if at that bar's time.
        types: Label names that are types, in class order; a region may have one besides its label.
        label: Which label to take, if the file holds several; "*" takes all.
        annotator: Whose spans (e-mail or number of the user, or the model version of predictions), if
            there are several; "*" takes all.
        wanted: Whether people's annotations or a model's predictions are read; the others are ignored.
        files: Symbol by file name without hash, such as ``{"march.csv": "NQ"}``.
        tolerance: Furthest that an end may lie from a bar and still be snapped to it; the usual time
            between two bars unless given.

    Returns:
        The spans in the order of the file, of weight 1; and the report.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no export; several annotators or labels, none chosen; an unknown symbol in `files`.
    """
    source = Path(path)
    groups = read_groups(source)
    symbols = dict(files or {})
    for name, symbol in symbols.items():
        if symbol not in bars.symbols:
            raise ValueError(f"files: want a symbol among {bars.symbols}, got {symbol!r} for {name!r}")
    who = _choose_annotator(groups, wanted, annotator)
    clocks: dict[int, BarClock] = {}
    intake = Intake(bars, format_name="Label Studio", source=source.name)
    for group in groups:
        for region in group.regions:
            row, found = intake.labels, _found(region)
            intake.labels += 1
            place = f"{group.place}, region {row if region.id is None else region.id}"
            unwanted = _unwanted(group, region, wanted, who)
            if unwanted:
                intake.note(row, place=place, action="ignored", reason=unwanted, found=found)
                continue
            try:
                names = _names(region)
                number = _symbol(group.origin, bars, symbols)
                if number not in clocks:
                    clocks[number] = BarClock(bars, number, tolerance=nanoseconds(tolerance))
                start, end, bends = _place(region, clocks[number], closed)
            except RefusedError as reason:
                intake.note(row, place=place, action="refused", reason=str(reason), found=found)
                continue
            used = f"{stamp(bars, start)}..{stamp(bars, end)}"
            for bend in bends:
                intake.note(row, place=place, action=bend.action, reason=bend.reason, found=found, used=used)
            intake.labelled.append(Labelled(row, place, found, start, end, names))
    everybody = "+".join(who)
    return intake.finish(types=types, label=label, annotator=everybody)


def label_studio_annotators(
    path: str | os.PathLike[str], *, wanted: Wanted = "annotations"
) -> tuple[str, ...]:
    """Lists who labelled, in the order of the file; "" stands for none named.

    Args:
        path: The exported file.
        wanted: Whether people or, with "predictions", model versions are listed.

    Returns:
        The keys that `read_label_studio` takes as `annotator`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no export.
    """
    return _annotators(read_groups(Path(path)), wanted)


def _annotators(groups: list[Group], wanted: Wanted) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group.by for group in groups if group.kind == wanted))


def _choose_annotator(groups: list[Group], wanted: Wanted, annotator: str | None) -> tuple[str, ...]:
    names = _annotators(groups, wanted)
    if annotator is None and len(names) > 1:
        raise ValueError(f"annotator: want one of {list(names)} chosen, got None")
    if annotator in (None, "*"):
        return names
    if annotator not in names:
        raise ValueError(f"annotator: want one of {list(names)}, got {annotator!r}")
    return (annotator,)


def _unwanted(group: Group, region: Region, wanted: Wanted, who: tuple[str, ...]) -> str:
    if group.kind != wanted:
        one = {
            "annotations": "an annotation",
            "predictions": "a prediction",
            "drafts": "a draft",
            "cancelled": "of a cancelled annotation",
        }
        return f"is {one[group.kind]}"
    if group.by not in who:
        return f"is by annotator {group.by!r}"
    if region.type != LABELS and LABELS not in region.value:
        return f"is no label on a time series: {region.type or 'no type'}"
    return ""


def _symbol(origin: Origin, bars: Bars, files: Mapping[str, str]) -> int:
    if origin.symbol is not None:
        if origin.symbol not in bars.symbols:
            raise RefusedError(f"there are no bars of symbol {origin.symbol!r}")
        return bars.symbols.index(origin.symbol)
    for name in origin.files:
        named = files.get(name, name.rpartition(".")[0] or name)
        if named in bars.symbols:
            return bars.symbols.index(named)
    if len(bars.symbols) > 1:
        raise RefusedError(f"its task names no symbol; its files are {list(origin.files)}")
    return 0


def _names(region: Region) -> tuple[str, ...]:
    names = region.value.get(LABELS)
    if not isinstance(names, list) or not names:
        raise RefusedError("has no label")
    return tuple(str(name) for name in names)


def _place(region: Region, clock: BarClock, closed: Closed) -> tuple[int, int, list[Bend]]:
    value = region.value
    instant = value.get("instant") is True
    start = read_moment(value.get("start"), name="start")
    # An instant has one time; some exports leave out the other.
    alone = instant and value.get("end") is None
    end = start if alone else read_moment(value.get("end"), name="end")
    return clock.place(start, end, closed=closed, instant=instant)


def _found(region: Region) -> str:
    return f"{region.value.get('start')}..{region.value.get('end')}"
