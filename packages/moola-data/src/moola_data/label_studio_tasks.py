"""Bars as Label Studio tasks, with the labels that are there already."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data._atomic_file import write_atomically
from moola_data._bar_clock import BarClock, Closed
from moola_data._intake import span_names
from moola_data._pieces import cut_bars
from moola_data.bar_lookup import first_bars
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans

PRICES = ("open", "high", "low", "close")
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
MOST_BARS = 10_000
"""Label Studio's time-series view breaks at about twice that many."""
COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")
JsonDict = dict[str, object]


def write_label_studio(
    folder: str | os.PathLike[str],
    bars: Bars,
    *,
    spans: Spans | Sequence[Spans] = (),
    kind: Literal["annotations", "predictions"] = "annotations",
    score: npt.ArrayLike | None = None,
    data: Literal["inline", "csv"] = "inline",
    url: str = "/data/local-files/?d=",
    labels: Sequence[str] | None = None,
    closed: Closed = "both",
    max_bars: int = MOST_BARS,
) -> int:
    """Writes `tasks.json` and the labelling configuration `config.xml` into a folder.

    Tasks do not overlap, cross no barrier and cut no span. Times are UTC without a zone, in whole seconds:
    Label Studio hangs on zones and loses fractions. Everyone's work becomes an annotation (or a prediction)
    of every task, an empty one where there is nothing, so that `read_label_studio` gives all of it back,
    sorted by bar.

    Args:
        folder: Where to; made if it is not there. Files of the same names are replaced, `tasks.json` last.
        bars: The bars to label.
        spans: Labels that are there already, of one annotator or of several.
        kind: Whether they are annotations or a model's predictions, which Label Studio shows to be
            corrected (pre-annotations).
        score: How sure the model is of each span, (m,), with predictions of one `Spans` only. A task's
            score is the mean of its spans'.
        data: Whether the bars stand in the tasks or in a CSV file each, which a task names.
        url: What stands before the name of a CSV file in a task.
        labels: Names to offer; those of the spans unless given, or "expansion" if there are none.
        closed: "left" writes the end of the last bar as a span's end, "both" its time.
        max_bars: Most bars a task, 10,000 at most.

    Returns:
        Number of tasks.

    Raises:
        ValueError: A time has a fraction of a second; spans do not fit the bars, have weights, or neither
            label nor type; `score` does not fit; no cut leaves all spans whole.
    """
    several = [spans] if isinstance(spans, Spans) else list(spans)
    if not 1 <= max_bars <= MOST_BARS:
        raise ValueError(f"max_bars: want 1..{MOST_BARS}, got {max_bars}")
    fractions = np.flatnonzero(bars.time.astype(np.int64) % 10**9)
    if fractions.size:
        row = fractions[0]
        raise ValueError(
            "bars: want times in whole seconds, as Label Studio loses fractions, "
            f"got {bars.time[row]} in row {row}"
        )
    sure = _scores(score, several, kind)
    for one in several:
        check_spans(one, bars)
    if len({one.annotator for one in several}) < len(several):
        raise ValueError(f"spans: want each annotator once, got {[one.annotator for one in several]}")
    names = [span_names(one) for one in several]
    used = [name for one in names for pair in one for name in pair]
    offered = list(dict.fromkeys(labels if labels is not None else used)) or ["expansion"]
    missing = [name for name in used if name not in offered]
    if missing:
        raise ValueError(f"labels: want all names that the spans have, got no {missing[0]!r}")
    ends = _end_times(bars, closed)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tasks: list[JsonDict] = []
    for first, after in cut_bars(bars, several, max_bars=max_bars):
        content, table = _data(bars, first, after)
        if data == "inline":
            content["ts"] = table.to_dict(orient="list")
        else:
            file = f"bars-{len(tasks):05d}.csv"
            write_atomically(target / file, table.to_csv(index=False, lineterminator="\n").encode())
            content["csv"] = url + file
        work = [
            _work(one, kind, _regions(one, name, bars, ends, first, after, sure))
            for one, name in zip(several, names, strict=True)
        ]
        tasks.append({"data": content, kind: work})
    write_atomically(target / "config.xml", label_studio_config(offered, data=data).encode())
    write_atomically(target / "tasks.json", json.dumps(tasks, allow_nan=False).encode())
    return len(tasks)


def label_studio_config(labels: Sequence[str], *, data: Literal["inline", "csv"] = "inline") -> str:
    """Gives the labelling configuration for tasks of `write_label_studio`.

    Args:
        labels: Names to offer; several may be put on one stretch (a label and a type).
        data: Whether the tasks hold the bars or name a CSV file.

    Returns:
        XML.

    >>> print(label_studio_config(["expansion"]).splitlines()[1].strip())
    <TimeSeriesLabels name="label" toName="ts" choice="multiple">
    """
    view = ET.Element("View")
    choice = ET.SubElement(view, "TimeSeriesLabels", name="label", toName="ts", choice="multiple")
    for number, label in enumerate(labels):
        ET.SubElement(choice, "Label", value=label, background=COLOURS[number % len(COLOURS)])
    series = ET.SubElement(
        view,
        "TimeSeries",
        name="ts",
        value="$ts" if data == "inline" else "$csv",
        valueType="json" if data == "inline" else "url",
        timeColumn="time",
        timeFormat=TIME_FORMAT,
        timeDisplayFormat=TIME_FORMAT,
        overviewChannels="close",
    )
    if data == "csv":
        series.set("sep", ",")
    for price in PRICES:
        ET.SubElement(series, "Channel", column=price, legend=price, fixedScale="false")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def _scores(score: npt.ArrayLike | None, several: list[Spans], kind: str) -> npt.NDArray[np.float64] | None:
    if score is None:
        return None
    if kind != "predictions" or len(several) != 1:
        raise ValueError(f"score: want it with the predictions of one Spans, got {len(several)} as {kind}")
    sure = np.asarray(score, np.float64)
    if sure.shape != (len(several[0]),):
        raise ValueError(f"score: want shape ({len(several[0])},), got {sure.shape}")
    bad = np.flatnonzero(~np.isfinite(sure))
    if bad.size:
        raise ValueError(f"score: want finite numbers, got {sure[bad[0]]} in row {bad[0]}")
    return sure


def _end_times(bars: Bars, closed: Closed) -> npt.NDArray[np.int64]:
    """When a span that ends with bar i ends, in nanoseconds."""
    if closed == "both":
        return bars.time.astype(np.int64)
    return np.concatenate([BarClock(bars, symbol).end_time for symbol in range(len(bars.symbols))])


def _data(bars: Bars, first: int, after: int) -> tuple[JsonDict, pd.DataFrame]:
    table = pd.DataFrame(
        {"time": _text(bars.time[first:after]), **{name: getattr(bars, name)[first:after] for name in PRICES}}
    )
    symbol = int(bars.symbol[first])
    start = first - int(first_bars(bars)[symbol])
    return {"symbol": bars.symbols[symbol], "first_bar": start, "bars": after - first}, table


def _regions(
    spans: Spans,
    names: list[tuple[str, ...]],
    bars: Bars,
    ends: npt.NDArray[np.int64],
    first: int,
    after: int,
    sure: npt.NDArray[np.float64] | None,
) -> list[JsonDict]:
    order = np.lexsort((spans.end, spans.start))
    mine = order[(spans.start[order] >= first) & (spans.start[order] < after)]
    starts = _text(bars.time[spans.start[mine]])
    stops = _text(ends[spans.end[mine]].view("M8[ns]"))
    regions: list[JsonDict] = []
    for i, start, end in zip(mine.tolist(), starts, stops, strict=True):
        region: JsonDict = {
            "id": f"span-{i}",
            "from_name": "label",
            "to_name": "ts",
            "type": "timeserieslabels",
            "value": {"start": start, "end": end, "instant": start == end, "timeserieslabels": [*names[i]]},
        }
        if sure is not None:
            region["score"] = float(sure[i])
        regions.append(region)
    return regions


def _work(spans: Spans, kind: str, regions: list[JsonDict]) -> JsonDict:
    work: JsonDict = {"result": regions}
    if kind == "predictions":
        work["model_version"] = spans.annotator
        scores = [region["score"] for region in regions if "score" in region]
        if scores:
            work["score"] = float(np.mean(np.array(scores, np.float64)))
    elif re.fullmatch("0|[1-9][0-9]*", spans.annotator):
        work["completed_by"] = int(spans.annotator)
    elif spans.annotator:
        work["completed_by"] = {"email": spans.annotator}
    return work


def _text(time: npt.NDArray[np.datetime64]) -> list[str]:
    return [str(one).replace("T", " ") for one in np.datetime_as_string(time, unit="s")]
