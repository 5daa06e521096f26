"""The six tables of a run, written an epoch at a time, so that a killed run leaves every finished epoch.

| file | rows |
|---|---|
| epoch_metrics.csv | every epoch |
| loss_components.csv | every epoch, train and inner |
| uncertainty_params.csv | every 5th epoch, if the balancer learns sigmas |
| probability_stats.csv | every epoch, inner |
| feature_stats.csv | every 5th epoch, train and inner, each feature |
| gradient_stats.csv | every 10th epoch, first batch, before the step |

The columns are those of the system that Moola descends from; ``val`` there is what we call inner.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

from moola_train.protocols import Callback, EpochState, Row
from moola_train.schema import Record

SHORT = {"type": "type", "pointers": "ptr", "span": "span", "countdown": "countdown"}
"""Task names as the tables' columns abbreviate them."""
STATISTICS = ("mean", "std", "min", "max", "median")
_PHASES = (("train", "train"), ("inner", "val"))

Cell = float | int | str | None
Table = list[dict[str, Cell]]
Values = dict[tuple[str, str, str], float | None]


class Tables(Callback):
    """Appends each finished epoch's rows to the six files. Must be the last callback of the list.

    Args:
        folder: The run folder.
        tasks: Names of the trained tasks.
    """

    def __init__(self, folder: Path, *, tasks: tuple[str, ...]) -> None:
        self.folder = folder
        self.tasks = tasks

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Derives the rows from the epoch's records and puts them on the disk."""
        for name, rows in tables_of(state.records, epoch=state.epoch, tasks=self.tasks).items():
            if rows:
                _append(self.folder / f"{name}.csv", rows)
        return ()


def tables_of(records: Iterable[Record], *, epoch: int, tasks: tuple[str, ...]) -> dict[str, Table]:
    """Derives the rows of one epoch's records, by table name. An undefined number is an empty cell."""
    value: Values = {(r.split, r.task, r.name): r.value for r in records}
    return {
        "epoch_metrics": [_epoch_metrics(value, epoch)],
        "loss_components": _loss_components(value, epoch, tasks),
        "uncertainty_params": _uncertainty_params(value, epoch, tasks),
        "probability_stats": _probability_stats(value, epoch),
        "feature_stats": _feature_stats(value, epoch),
        "gradient_stats": _gradient_stats(value, epoch),
    }


def _epoch_metrics(value: Values, epoch: int) -> dict[str, Cell]:
    return {
        "epoch": epoch,
        "train_loss": value.get(("train", "", "total")),
        "val_loss": value.get(("inner", "", "loss")),
        "span_f1": value.get(("inner", "", "origin_span_f1")),
        "span_precision": value.get(("inner", "", "origin_span_precision")),
        "span_recall": value.get(("inner", "", "origin_span_recall")),
        "epoch_time": value.get(("train", "", "epoch_time")),
    }


def _loss_components(value: Values, epoch: int, tasks: tuple[str, ...]) -> Table:
    rows: Table = []
    for split, phase in _PHASES:
        losses = {task: value.get((split, task, "loss")) for task in tasks}
        known = [loss for loss in losses.values() if loss is not None]
        row: dict[str, Cell] = {"epoch": epoch, "phase": phase}
        row |= {f"loss_{short}": losses.get(task) for task, short in SHORT.items()}
        row["total_loss"] = sum(known) if known else None
        rows.append(row)
    return rows


def _uncertainty_params(value: Values, epoch: int, tasks: tuple[str, ...]) -> Table:
    sigma = {task: value.get(("train", task, "sigma")) for task in tasks}
    known = {task: s for task, s in sigma.items() if s is not None}
    if epoch % 5 or not known:
        return []
    precision = {task: 1 / s**2 for task, s in known.items()}
    row: dict[str, Cell] = {"epoch": epoch}
    row |= {f"sigma_{SHORT[task]}": known.get(task) for task in ("pointers", "type", "span", "countdown")}
    for task in ("pointers", "type", "span", "countdown"):
        share = precision[task] / sum(precision.values()) if task in precision else None
        row[f"weight_{SHORT[task]}"] = share
    return [row]


def _probability_stats(value: Values, epoch: int) -> Table:
    row: dict[str, Cell] = {"epoch": epoch, "phase": "val"}
    for side in ("in_span", "out_span"):
        row |= {f"{side}_{s}": value.get(("inner", "", f"{side}_{s}")) for s in STATISTICS}
    row["separation"] = value.get(("inner", "", "separation"))
    return [row]


def _feature_stats(value: Values, epoch: int) -> Table:
    rows: Table = []
    for split, phase in _PHASES:
        names = [
            n.removeprefix("feature_mean/")
            for s, _, n in value
            if s == split and n.startswith("feature_mean/")
        ]
        for name in names:
            row: dict[str, Cell] = {"epoch": epoch, "phase": phase, "feature_name": name}
            rows.append(row | {s: value.get((split, "", f"feature_{s}/{name}")) for s in STATISTICS})
    return rows


def _gradient_stats(value: Values, epoch: int) -> Table:
    prefix = "gradient_norm/"
    norms = {n.removeprefix(prefix): v for (_, _, n), v in value.items() if n.startswith(prefix)}
    if not norms:
        return []
    row: dict[str, Cell] = {"epoch": epoch, "total_grad_norm": norms.pop("total")}
    return [row | norms]


def _append(path: Path, rows: Table) -> None:
    """Appends the rows in one write, with the header first in a new file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(rows)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        file.write(text.getvalue().encode())
        os.fsync(file.fileno())
