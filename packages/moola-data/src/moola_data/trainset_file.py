"""Spans from and to the CSV of TRAINSET: one row a point, ``series,timestamp,value,label``.

Successive bars with one label are a span. So the format cannot tell spans that overlap, or two that touch
and are called the same; those are refused when written.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from moola_data._atomic_file import write_atomically
from moola_data._bar_clock import BarClock, RefusedError, stamp
from moola_data._intake import SEPARATOR, Intake, Labelled, span_names, split_names
from moola_data._moment import nanoseconds, read_moment
from moola_data.import_report import ImportReport
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans
from moola_data.spans_file import TYPES


def read_trainset(
    path: str | os.PathLike[str],
    bars: Bars,
    *,
    types: Sequence[str] = TYPES,
    label: str | None = None,
    annotator: str = "",
    series: Mapping[str, str] | None = None,
    tolerance: datetime.timedelta | None = None,
) -> tuple[Spans, ImportReport]:
    """Reads the spans of a file: runs of successive bars with the same label.

    A run ends where the label changes, at a barrier, and where the file leaves out a bar. Each is reported
    under the data row of its first point. A point that is no bar is refused on its own.

    Args:
        path: The file; the bars may be all of it or a part, in the order of time within a series.
        bars: The bars that were labelled.
        types: Names that are types, in class order. "expansion/retracement" is a label with a type.
        label: Which label to take, if the file holds several; "*" takes all.
        annotator: Whose spans these are; the format does not say.
        series: Symbol by name of series, such as ``{"close": "NQ"}``; others are left out and reported.
            Unless given, series are named as symbols, or there is one of each.
        tolerance: Furthest that a point may lie from a bar and still be snapped to it; the usual time
            between two bars unless given.

    Returns:
        The spans, by series, then time, of weight 1; and the report.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The columns are others; a series is no symbol; several labels, none chosen.
    """
    source = Path(path)
    points = _read(source)
    names = list(dict.fromkeys(point.series for point in points))
    numbers = _symbols(names, bars, series)
    intake = Intake(bars, format_name="TRAINSET", source=source.name)
    for name in names:
        rows = [row for row, point in enumerate(points) if point.series == name]
        if name in numbers:
            clock = BarClock(bars, numbers[name], tolerance=nanoseconds(tolerance))
            _read_series(points, rows, clock, intake)
            continue
        for row in rows:
            if points[row].label:
                reason, found = f"series {name!r} was not asked for", points[row].timestamp
                intake.labels += 1
                intake.note(row, place=f"row {row}", action="ignored", reason=reason, found=found)
    return intake.finish(types=types, label=label, annotator=annotator)


def write_trainset(path: str | os.PathLike[str], spans: Spans, bars: Bars) -> None:
    """Writes every bar (the value is its close) and the spans so that `read_trainset` gives them back.

    The spans come back sorted by bar. The annotator is not written: the format has no place for one.

    Args:
        path: The file; replaced in one step if it exists.
        spans: Spans on these bars that do not overlap.
        bars: The bars; a series is a symbol.

    Raises:
        ValueError: The spans do not fit the bars, overlap, have weights, or neither label nor type; two
            that touch inside a segment are called the same.
    """
    check_spans(spans, bars)
    names = [SEPARATOR.join(pair) for pair in span_names(spans)]
    order = np.lexsort((spans.end, spans.start))
    for one, two in itertools.pairwise(order):
        pair = f"{spans.start[one]}..{spans.end[one]} and {spans.start[two]}..{spans.end[two]}"
        if spans.start[two] <= spans.end[one]:
            raise ValueError(f"spans: want no overlap, got {pair} in row {max(one, two)}")
        touch = spans.start[two] == spans.end[one] + 1
        if (
            touch
            and names[one] == names[two]
            and bars.segment[spans.end[one]] == bars.segment[spans.start[two]]
        ):
            raise ValueError(
                f"spans: want an unlabelled bar between spans of one name, got {pair} in row {max(one, two)}"
            )
    label = np.full(len(bars), "", object)
    for i, name in enumerate(names):
        label[spans.start[i] : spans.end[i] + 1] = name
    table = pd.DataFrame(
        {
            "series": np.array(bars.symbols, object)[bars.symbol],
            "timestamp": [f"{one}Z" for one in np.datetime_as_string(bars.time, unit="auto")],
            "value": bars.close,
            "label": label,
        }
    )
    write_atomically(Path(path), table.to_csv(index=False, lineterminator="\n").encode())


class _Point(NamedTuple):
    series: str
    timestamp: str
    value: str
    label: str


def _read(path: Path) -> list[_Point]:
    if not path.is_file():
        raise FileNotFoundError(f"path: want a file, got {path}")
    points = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = tuple(next(rows, []))
            if header != _Point._fields:
                raise ValueError(
                    f"{path.name}: want the columns {', '.join(_Point._fields)}, got {', '.join(header)}"
                )
            for row, cells in enumerate(rows):
                if len(cells) != len(header):
                    raise ValueError(f"{path.name}: want {len(header)} cells, got {len(cells)} in row {row}")
                points.append(_Point(cells[0], cells[1].strip(), cells[2], cells[3].strip()))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: want CSV in UTF-8, got {error} in row {len(points)}") from error
    return points


def _symbols(names: list[str], bars: Bars, series: Mapping[str, str] | None) -> dict[str, int]:
    if series is None:
        if len(names) == 1 and len(bars.symbols) == 1:
            return {names[0]: 0}
        series = {name: name for name in names}
    else:
        absent = [name for name in series if name not in names]
        if absent:
            raise ValueError(f"series: want names among {names}, got {absent[0]!r}")
    foreign = [symbol for symbol in series.values() if symbol not in bars.symbols]
    if foreign:
        raise ValueError(f"series: want symbols among {bars.symbols}, got {foreign[0]!r}")
    return {name: bars.symbols.index(symbol) for name, symbol in series.items()}


def _read_series(points: list[_Point], rows: list[int], clock: BarClock, intake: Intake) -> None:
    """Gathers the runs of one series, whose rows are given."""
    segment = intake.bars.segment
    run: list[Labelled] = []  # The run so far, as one label that grows.
    last_rank = -2
    for rank, row in enumerate(rows):
        time, text = points[row].timestamp, points[row].label
        if not text:
            continue
        place = f"row {row}"
        try:
            names = split_names(text)
            if not names:
                raise RefusedError("has no label")
            moment = read_moment(time, name="timestamp")
            bar, _, bends = clock.place(moment, moment, closed="both", instant=True)
            if run and bar <= run[-1].end:
                raise RefusedError(f"its bar is not behind that of {stamp(intake.bars, run[-1].end)}")
        except RefusedError as reason:
            intake.labels += 1
            intake.note(row, place=place, action="refused", reason=str(reason), found=time)
            continue
        used = stamp(intake.bars, bar)
        for bend in bends:
            intake.note(row, place=place, action=bend.action, reason=bend.reason, found=time, used=used)
        follows = bool(run) and run[-1].names == names and last_rank == rank - 1
        last_rank = rank
        if follows and run[-1].end == bar - 1 and segment[bar] == segment[bar - 1]:
            run[-1] = run[-1]._replace(end=bar, found=f"{run[-1].found.partition('..')[0]}..{time}")
            continue
        if follows:
            reason_ = (
                "a barrier lies before it"
                if run[-1].end == bar - 1
                else "the file leaves out a bar before it"
            )
            intake.note(row, place=place, action="split", reason=reason_, found=time, used=used)
        intake.labels += 1
        run.append(Labelled(row, place, time, bar, bar, names))
    intake.labelled += run
