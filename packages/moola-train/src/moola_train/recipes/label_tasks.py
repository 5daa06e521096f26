"""Windows as tasks for Label Studio, in the order in which they are to be done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from moola_data.bar_lookup import first_bars
from moola_data.label_studio_tasks import write_label_studio
from moola_data.schema import Bars, Spans
from moola_train.recipes.provenance import write_text

Int = npt.NDArray[np.int64]
LABEL = "expansion"


def write_window_tasks(
    folder: Path,
    bars: Bars,
    first: Int,
    last: Int,
    *,
    spans: Spans,
    kind: Literal["annotations", "predictions"],
    score: npt.NDArray[np.floating] | None = None,
    notes: Sequence[Mapping[str, object]] = (),
) -> int:
    """Writes one task a window, with the spans in it to be corrected.

    Args:
        folder: For `tasks.json` and `config.xml`.
        bars: The bars.
        first: First bars of the windows, the most urgent window first, (m,). They share no bar.
        last: Last bars, included, (m,).
        spans: Spans on the bars; those outside the windows are left out.
        kind: Whether the spans are a person's or a network's.
        score: Of each span, for predictions.
        notes: What to show beside each task: its `data` gets these fields, and `rank`, counted from 1.

    Returns:
        Number of tasks.

    Raises:
        ValueError: Windows share bars; a window cuts a span or crosses a barrier; times have fractions of a
        second.
    """
    order = np.argsort(first, kind="stable")
    if (first[order][1:] <= last[order][:-1]).any():
        raise ValueError("first: want windows without a common bar, got some that overlap")
    rows = np.concatenate([np.arange(first[i], last[i] + 1) for i in order]) if len(order) else order
    place = np.repeat(np.arange(len(order)), (last - first + 1)[order])
    if len(np.unique(np.stack([place, bars.segment[rows]], 1), axis=0)) > len(order):
        raise ValueError("first: want windows inside a segment each, got one across a barrier")
    few = bars.model_copy(
        update={
            **{
                name: getattr(bars, name)[rows] for name in ("time", "open", "high", "low", "close", "symbol")
            },
            "segment": place.astype(np.int64),
        }
    )
    position = np.full(len(bars), -1, np.int64)
    position[rows] = np.arange(len(rows))
    start, end = position[spans.start], position[spans.end]
    inside = (start >= 0) | (end >= 0)
    mine = spans.model_copy(
        update={
            "start": start[inside],
            "end": end[inside],
            "type": spans.type[inside],
            "weight": np.ones(int(inside.sum()), np.float32),
            "label": spans.label or LABEL,
        }
    )
    offered = (mine.label, *mine.type_names)
    sure = None if score is None else score[inside]
    done = write_label_studio(folder, few, spans=mine, kind=kind, score=sure, labels=offered)
    heads = first_bars(bars)
    tasks = json.loads((folder / "tasks.json").read_text())
    for task, number in zip(tasks, order.tolist(), strict=True):
        task["data"]["first_bar"] = int(first[number] - heads[bars.symbol[first[number]]])
        task["data"] |= {"rank": number + 1, **(notes[number] if notes else {})}
    tasks.sort(key=lambda task: task["data"]["rank"])
    write_text(folder / "tasks.json", json.dumps(tasks, allow_nan=False))
    return done
