"""Spans from and to an Audacity label track: lines of start, end and name, in seconds, tabs between.

Two clocks are possible. Without `bar_seconds` the seconds run with the bars' times, from `origin` on: nights
and gaps take as long as they take. With it every bar sounds that long, whatever its time: the second
``i * bar_seconds`` is where bar i begins.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from moola_data._atomic_file import write_atomically
from moola_data._bar_clock import BarClock, Closed, RefusedError, seconds, stamp
from moola_data._intake import SEPARATOR, Intake, Labelled, span_names, split_names
from moola_data._moment import nanoseconds
from moola_data.bar_lookup import first_bars
from moola_data.import_report import ImportReport
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans
from moola_data.spans_file import TYPES

_NUMBER = re.compile(r"-?\d{1,12}(\.\d*)?")
MICROSECOND = 1000
"""Audacity's resolution in nanoseconds: what is nearer than that to a bar is on it."""


def read_audacity(
    path: str | os.PathLike[str],
    bars: Bars,
    *,
    closed: Closed = "both",
    bar_seconds: float | None = None,
    origin: np.datetime64 | None = None,
    symbol: str | None = None,
    types: Sequence[str] = TYPES,
    label: str | None = None,
    annotator: str = "",
    tolerance: datetime.timedelta | None = None,
) -> tuple[Spans, ImportReport]:
    """Reads the spans of a label track.

    Args:
        path: The file.
        bars: The bars that were labelled.
        closed: "both" if a label ends where its last bar begins, "left" if where that bar ends. Point labels
            (of no length) are one bar either way.
        bar_seconds: Length of every bar in seconds; None takes the bars' times.
        origin: Time at second 0, which with `bar_seconds` must be a bar's; the symbol's first bar unless
            given.
        symbol: Whose bars; needed where there are several.
        types: Names that are types, in class order. "expansion/retracement" is a label with a type.
        label: Which label to take, if the file holds several; "*" takes all.
        annotator: Whose spans these are; the format does not say.
        tolerance: Furthest that an end may lie from a bar and still be snapped to it; the usual time
            between two bars, or `bar_seconds`, unless given.

    Returns:
        The spans in the order of the file, of weight 1; and the report.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no label; several symbols or labels, none chosen; `origin` is no bar.
    """
    source = Path(path)
    lines = _read_lines(source)
    track = _Track(bars, symbol=symbol, bar_seconds=bar_seconds, origin=origin)
    clock = BarClock(track.bars, track.symbol, tolerance=nanoseconds(tolerance), slack=MICROSECOND)
    intake = Intake(bars, format_name="Audacity", source=source.name)
    for row, cells, ranged in lines:
        place, found = f"line {row}", f"{cells[0]}..{cells[1]}"
        intake.labels += 1
        try:
            names = split_names(cells[2])
            if not names:
                raise RefusedError("has no label")
            start, end = (track.moment(cell) for cell in cells[:2])
            first, last, bends = clock.place(start, end, closed=closed, instant=start == end)
        except RefusedError as reason:
            intake.note(row, place=place, action="refused", reason=str(reason), found=found)
            continue
        used = f"{stamp(bars, first)}..{stamp(bars, last)}"
        for bend in bends:
            intake.note(row, place=place, action=bend.action, reason=bend.reason, found=found, used=used)
        if ranged:
            reason_ = "its range of frequencies is left out"
            intake.note(row, place=place, action="kept", reason=reason_, found=found, used=used)
        intake.labelled.append(Labelled(row, place, found, first, last, names))
    return intake.finish(types=types, label=label, annotator=annotator)


def write_audacity(
    path: str | os.PathLike[str],
    spans: Spans,
    bars: Bars,
    *,
    closed: Closed = "both",
    bar_seconds: float | None = None,
    origin: np.datetime64 | None = None,
    symbol: str | None = None,
) -> None:
    """Writes a label track so that `read_audacity`, with the same arguments, gives the spans back.

    The annotator is not written: the format has no place for one.

    Args:
        path: The file; replaced in one step if it exists.
        spans: Spans on bars of one symbol.
        bars: The bars.
        closed: As `read_audacity`.
        bar_seconds: As `read_audacity`.
        origin: As `read_audacity`.
        symbol: As `read_audacity`.

    Raises:
        ValueError: The spans do not fit the bars, are those of another symbol, have weights, or neither label
            nor type.
    """
    check_spans(spans, bars)
    names = [SEPARATOR.join(pair) for pair in span_names(spans)]
    track = _Track(bars, symbol=symbol, bar_seconds=bar_seconds, origin=origin)
    foreign = np.flatnonzero(bars.symbol[spans.start] != track.symbol)
    if foreign.size:
        row = foreign[0]
        found = bars.symbols[bars.symbol[spans.start[row]]]
        raise ValueError(f"spans: want spans of {bars.symbols[track.symbol]}, got {found} in row {row}")
    clock = BarClock(track.bars, track.symbol)
    ends = clock.end_time if closed == "left" else clock.time
    lines = []
    for start, end, name in zip(spans.start - clock.first, spans.end - clock.first, names, strict=True):
        times = (seconds(int(one) - track.zero) for one in (clock.time[start], ends[end]))
        lines.append("\t".join([*times, name]) + "\n")
    write_atomically(Path(path), "".join(lines).encode())


class _Track:
    """Where the seconds of a track lie: on the bars' times, or on bars of one length in a row."""

    def __init__(
        self, bars: Bars, *, symbol: str | None, bar_seconds: float | None, origin: np.datetime64 | None
    ) -> None:
        if symbol is None and len(bars.symbols) > 1:
            raise ValueError(f"symbol: want one of {bars.symbols} chosen, got None")
        if symbol is not None and symbol not in bars.symbols:
            raise ValueError(f"symbol: want one of {bars.symbols}, got {symbol!r}")
        self.symbol = 0 if symbol is None else bars.symbols.index(symbol)
        first, after = first_bars(bars)[self.symbol : self.symbol + 2].tolist()
        if first == after:
            raise ValueError(f"bars: want bars of {bars.symbols[self.symbol]}, got none")
        begin = bars.time[first] if origin is None else origin.astype("M8[ns]")
        self.bars, self.zero = bars, int(begin.astype(np.int64))
        if bar_seconds is None:
            return
        if not MICROSECOND * 1e-9 < bar_seconds < 1e9:
            raise ValueError(f"bar_seconds: want more than a microsecond, got {bar_seconds}")
        at = int(np.searchsorted(bars.time[first:after], begin))
        if at == after - first or bars.time[first + at] != begin:
            raise ValueError(f"origin: want the time of a bar of {bars.symbols[self.symbol]}, got {begin}")
        # The bars of other symbols get times too, which nobody looks at.
        number = np.arange(len(bars)) - (first + at)
        time = self.zero + np.round(number * (bar_seconds * 1e9)).astype(np.int64)
        self.bars = bars.model_copy(update={"time": time.view("M8[ns]")})

    def moment(self, cell: str) -> int:
        """Reads seconds of the track as nanoseconds since 1970."""
        if not _NUMBER.fullmatch(cell):
            raise RefusedError(f"no number of seconds: {cell!r}")
        return self.zero + round(Decimal(cell) * 10**9)


def _read_lines(path: Path) -> list[tuple[int, list[str], bool]]:
    """Gives of every label: line number; start, end and name; whether it has a range of frequencies."""
    if not path.is_file():
        raise FileNotFoundError(f"path: want a file, got {path}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: want a text in UTF-8, got byte {error.start} that is none") from error
    labels: list[tuple[int, list[str], bool]] = []
    for row, line in enumerate(re.split("\r?\n", text)):
        cells = line.split("\t")
        if not line.strip():
            continue
        if cells[0] == "\\" and labels:  # Goes on about the label above it.
            labels[-1] = (*labels[-1][:2], True)
            continue
        if len(cells) not in (2, 3):
            raise ValueError(
                f"{path.name}: want start, end and name with tabs between, got {line!r} in row {row}"
            )
        labels.append((row, [*(cell.strip() for cell in cells), ""][:3], False))
    return labels
