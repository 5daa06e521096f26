"""``source.json``: where a run's bars and spans lie and what they were, so that it can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from moola_data.bars import read_bars
from moola_data.card import dataset_card
from moola_data.expansion_rule import label_expansions
from moola_data.sample import load_sample
from moola_data.schema import Bars, Spans
from moola_data.spans_file import TYPES, read_spans
from moola_train.recipes.provenance import write_json
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.settings import refusals

NAME = "source.json"
CONFIG = "config.json"


class RunSource(BaseModel):
    """What a run was made of beside its configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: Literal["files", "demo"]
    bars: str | None = None
    """Path of the bars file, whole; None for the demo."""
    spans: str | None = None
    bars_fingerprint: str
    """SHA-256 of times, prices, symbols and segments."""
    spans_fingerprint: str
    """SHA-256 of starts, ends, types and weights."""
    ceiling: float | None = None
    """Best reachable span and bar F1, where it is known."""
    notes: tuple[str, ...] = ()
    trackers: tuple[str, ...] = ()
    pretrained: str | None = None
    """Path of the folder whose encoder the network began with."""


class RunInputs(NamedTuple):
    """What a run reads."""

    bars: Bars
    spans: Spans
    source: RunSource


class StoredRun(NamedTuple):
    """What a run folder says of how it was started, with its data read again."""

    inputs: RunInputs
    config: RunConfig


def demo_inputs(
    *, types: Sequence[str] = TYPES, trackers: tuple[str, ...] = (), pretrained: Path | None = None
) -> RunInputs:
    """The embedded daily bars, labelled by a rule.

    Raises:
        ValueError: Other types are wanted than the rule gives.
    """
    bars = load_sample()
    spans = label_expansions(bars)
    if tuple(types) != spans.type_names:
        raise ValueError(
            f"data.types: want {list(spans.type_names)} for the demo's bars, which a rule labels, got "
            f"{list(types)}"
        )
    notes = (
        "A rule labelled these bars, not a person: directional runs found with knowledge of later bars "
        f"(`{spans.annotator}`). A perfect prediction is possible, so the ceiling is 1.",
        f"Bars: {bars.source}.",
    )
    source = RunSource(
        kind="demo",
        **fingerprints(bars, spans),
        ceiling=1.0,
        notes=notes,
        trackers=trackers,
        pretrained=None if pretrained is None else str(pretrained.resolve()),
    )
    return RunInputs(bars, spans, source)


def file_inputs(
    bars: Path,
    spans: Path,
    *,
    types: Sequence[str] = TYPES,
    trackers: tuple[str, ...] = (),
    pretrained: Path | None = None,
) -> RunInputs:
    """Reads two files.

    Args:
        bars: CSV or Parquet.
        spans: CSV or Parquet.
        types: What its column ``type`` may say, in the order of the classes: a run's ``data.types``.
        trackers: Of the run.
        pretrained: Folder whose encoder the run begins with.

    Raises:
        FileNotFoundError: One is missing.
        ValueError: One is not sound.
    """
    checked = read_bars(bars)
    try:
        labels = read_spans(spans, checked, types=types)
    except ValueError as error:
        said = str(error).removeprefix("spans: ")
        own = "; set data.types to names of your own" if said.startswith("type: ") else ""
        raise ValueError(f"spans: {spans.name}: {said}{own}") from error
    notes = [f"Bars: {bars.name}; spans: {spans.name}, annotator {labels.annotator or 'not named'}."]
    if len(labels) and (labels.type < 0).all():
        notes.append("No span has a type: the type is not trained, and criteria of it have no such output.")
    if joined := _joined(labels, checked):
        notes.append(
            f"{joined} spans share bars with one before or touch it: learnt as one, scored one by one."
        )
    source = RunSource(
        kind="files",
        bars=str(bars.resolve()),
        spans=str(spans.resolve()),
        **fingerprints(checked, labels),
        notes=tuple(notes),
        trackers=trackers,
        pretrained=None if pretrained is None else str(pretrained.resolve()),
    )
    return RunInputs(checked, labels, source)


def fingerprints(bars: Bars, spans: Spans) -> dict[str, str]:
    """SHA-256 of bars and spans: of their values, not of the files."""
    card = dataset_card(bars, spans)
    return {"bars_fingerprint": card.fingerprint, "spans_fingerprint": card.labels[0].fingerprint}


def write_source(folder: Path, source: RunSource, config: RunConfig) -> None:
    """Writes ``source.json`` and the resolved ``config.json`` of a run."""
    write_json(folder / CONFIG, config.model_dump(mode="json"))
    write_json(folder / NAME, source.model_dump(mode="json"))


def stored_run(folder: Path) -> StoredRun:
    """Reads a run's configuration and, anew, its data.

    Args:
        folder: Of a run, finished or not.

    Raises:
        FileNotFoundError: It is no run folder, or a file that the run was made of is gone.
        ValueError: A file of the folder is damaged, or the data are not those that the run was made of.
    """
    for name in (CONFIG, NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"run: want the folder of a run with {name}, got {folder}")
    try:
        config = RunConfig.model_validate(json.loads((folder / CONFIG).read_bytes()))
        source = RunSource.model_validate_json((folder / NAME).read_bytes())
    except (ValidationError, ValueError) as error:
        found = "; ".join(refusals(error, None)) if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"run: want readable {CONFIG} and {NAME} in {folder}, got {found}") from error
    if source.kind == "demo":
        bars, spans, _ = demo_inputs()
    else:
        if source.bars is None or source.spans is None:
            raise ValueError(f"run: want the paths of bars and spans in {folder / NAME}, got none")
        bars, spans, _ = file_inputs(Path(source.bars), Path(source.spans), types=config.data.types)
    now = fingerprints(bars, spans)
    for what, wanted, where in (
        ("bars", source.bars_fingerprint, source.bars),
        ("spans", source.spans_fingerprint, source.spans),
    ):
        got = now[f"{what}_fingerprint"]
        if got != wanted:
            raise ValueError(
                f"{what}: want those that the run was made of ({wanted[:12]}…), got others ({got[:12]}…) in "
                f"{where or 'the embedded sample'}"
            )
    return StoredRun(RunInputs(bars, spans, source), config)


def _joined(spans: Spans, bars: Bars) -> int:
    """Spans that share a bar with one that began earlier, or begin right after it in its segment."""
    order = np.lexsort((spans.end, spans.start))
    start, furthest = spans.start[order][1:], np.maximum.accumulate(spans.end[order])[:-1]
    return int(((start <= furthest + 1) & (bars.segment[start] == bars.segment[furthest])).sum())
