"""Spans from and to doccano's JSONL, where a bar is a character.

A line holds a text, one character a bar (``u`` closed up, ``d`` down, ``-`` neither), and its labels as
``[start, end, name]``: offsets in the text, the end exclusive. The fields ``symbol`` and ``first_bar``
(number of the first bar within its symbol), which doccano keeps as metadata, say where the text lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moola_data._atomic_file import write_atomically
from moola_data._bar_clock import Closed, RefusedError
from moola_data._intake import SEPARATOR, Intake, Labelled, span_names, split_names
from moola_data._pieces import cut_bars
from moola_data.bar_lookup import first_bars
from moola_data.import_report import ImportReport
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans
from moola_data.spans_file import TYPES


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str
    label: list[tuple[int, int, str]] = []
    symbol: str | None = None
    first_bar: int | None = Field(None, ge=0)


def read_doccano(
    path: str | os.PathLike[str],
    bars: Bars,
    *,
    closed: Closed = "left",
    types: Sequence[str] = TYPES,
    label: str | None = None,
    annotator: str = "",
    starts: Sequence[int] | None = None,
) -> tuple[Spans, ImportReport]:
    """Reads the spans of a JSONL file.

    Args:
        path: The file.
        bars: The bars that were labelled.
        closed: "left" as doccano writes; "both" for files whose ends are inclusive.
        types: Names that are types, in class order. "expansion/retracement" is a label with a type.
        label: Which label to take, if the file holds several; "*" takes all.
        annotator: Whose spans these are; the format does not say.
        starts: Bar number (over all symbols) of each line's first bar, for files without `first_bar`.

    Returns:
        The spans in the order of the file, of weight 1; and the report.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no such JSON or does not say where it lies; several labels, none chosen.
    """
    source = Path(path)
    lines = _read_lines(source)
    if starts is not None and len(starts) != len(lines):
        raise ValueError(f"starts: want one for each of {len(lines)} lines, got {len(starts)}")
    intake = Intake(bars, format_name="doccano", source=source.name)
    for number, line in enumerate(lines):
        first = _first_bar(line, number, bars, None if starts is None else starts[number])
        size = min(len(line.text), len(bars) - first)
        for i, (start, end, name) in enumerate(line.label):
            row, place, found = intake.labels, f"line {number}, label {i}", f"{start}..{end}"
            intake.labels += 1
            try:
                last = _clip(start, end - (closed == "left"), size)
                if not split_names(name):
                    raise RefusedError("has no label")
            except RefusedError as reason:
                intake.note(row, place=place, action="refused", reason=str(reason), found=found)
                continue
            begin = first + max(start, 0)
            if (start < 0) or (end - (closed == "left") >= size):
                used = f"{begin - first}..{last}"
                reason_ = f"reaches outside the {size} bars of its line"
                intake.note(row, place=place, action="clipped", reason=reason_, found=found, used=used)
            intake.labelled.append(Labelled(row, place, found, begin, first + last, split_names(name)))
    return intake.finish(types=types, label=label, annotator=annotator)


def write_doccano(
    path: str | os.PathLike[str], spans: Spans, bars: Bars, *, closed: Closed = "left", max_bars: int = 10_000
) -> None:
    """Writes bars and spans so that `read_doccano` gives the spans back, sorted by bar.

    The annotator is not written: the format has no place for one. A line crosses no barrier and cuts no span.

    Args:
        path: The file; replaced in one step if it exists.
        spans: Spans on these bars.
        bars: The bars.
        closed: "left" as doccano reads; "both" writes inclusive ends.
        max_bars: Most bars a line.

    Raises:
        ValueError: The spans do not fit the bars, have weights, or neither label nor type; no cut leaves
            all spans whole.
    """
    check_spans(spans, bars)
    names = [SEPARATOR.join(pair) for pair in span_names(spans)]
    order = np.lexsort((spans.end, spans.start))
    offset = first_bars(bars)
    letters = np.array(["d", "-", "u"])[np.sign(bars.close - bars.open).astype(np.int64) + 1]
    lines = []
    for first, after in cut_bars(bars, [spans], max_bars=max_bars):
        mine = order[(spans.start[order] >= first) & (spans.start[order] < after)]
        symbol = int(bars.symbol[first])
        line = {
            "text": "".join(letters[first:after]),
            "label": [
                [int(spans.start[i]) - first, int(spans.end[i]) - first + (closed == "left"), names[i]]
                for i in mine
            ],
            "symbol": bars.symbols[symbol],
            "first_bar": first - int(offset[symbol]),
        }
        lines.append(json.dumps(line, ensure_ascii=False))
    write_atomically(Path(path), "".join(line + "\n" for line in lines).encode())


def _read_lines(path: Path) -> list[_Line]:
    if not path.is_file():
        raise FileNotFoundError(f"path: want a file, got {path}")
    lines = []
    # Only "\n" ends a line of JSONL; str.splitlines would break at characters that a text may hold.
    for number, content in enumerate(path.read_bytes().split(b"\n")):
        if content.strip():
            try:
                lines.append(_Line.model_validate_json(content))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"]) or "it"
                wanted = 'want {"text": ..., "label": [[start, end, name], ...]}'
                raise ValueError(
                    f"{path.name}: {wanted}, got {where}: {first['msg']} in row {number}"
                ) from error
    return lines


def _first_bar(line: _Line, number: int, bars: Bars, given: int | None) -> int:
    if given is not None:
        if not 0 <= given < len(bars):
            raise ValueError(f"starts: want 0..{len(bars) - 1}, got {given} in row {number}")
        return given
    if line.first_bar is None:
        raise ValueError(
            f"starts: want the first bar of every line, got none and no first_bar in row {number}"
        )
    if line.symbol is None and len(bars.symbols) > 1:
        raise ValueError(f"symbol: want one of {bars.symbols}, got none in row {number}")
    if line.symbol is not None and line.symbol not in bars.symbols:
        raise ValueError(f"symbol: want one of {bars.symbols}, got {line.symbol!r} in row {number}")
    symbol = 0 if line.symbol is None else bars.symbols.index(line.symbol)
    low, high = first_bars(bars)[symbol : symbol + 2].tolist()
    if line.first_bar >= high - low:
        raise ValueError(f"first_bar: want 0..{high - low - 1}, got {line.first_bar} in row {number}")
    return int(low + line.first_bar)


def _clip(start: int, last: int, size: int) -> int:
    """Gives the last visible bar of a label, or refuses it."""
    if last < start:
        raise RefusedError(
            "zero length: no bar lies inside" if last == start - 1 else "ends before it starts"
        )
    if max(start, 0) > min(last, size - 1):
        raise RefusedError(f"outside the {size} bars of its line")
    return min(last, size - 1)
