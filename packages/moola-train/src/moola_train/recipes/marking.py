"""Marks a bar file of any length with a finished run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

import moola_models
from moola_data.features import compute_features
from moola_data.schema import Bars, Spans
from moola_data.spans_file import spans_table
from moola_data.windows import window_starts
from moola_eval.decoding import decode
from moola_models.type_head import TypeHeadConfig
from moola_train.batches import Batch
from moola_train.recipes.answers import Answers, answers
from moola_train.recipes.decision import NAME, Decision, read_decision, weights_digest
from moola_train.recipes.drift import DriftReport, compare, read_trained


class Marks(NamedTuple):
    """What a run says of a bar file."""

    spans: Spans
    score: npt.NDArray[np.float32]
    """Mean in-span probability of each span's bars."""
    probability: npt.NDArray[np.float32]
    """Of every bar; NaN where no window reaches."""
    drift: DriftReport | None = None
    """The bars' features against those of training; None of a run that does not remember them."""

    @property
    def unmarked(self) -> int:
        """Bars in stretches shorter than a window, which cannot be marked."""
        return int(np.isnan(self.probability).sum())


def mark(bars: Bars, run: Path) -> Marks:
    """Marks the expansions of bars.

    Windows overlap by half, the last of every stretch ends on its last bar; a bar's probability is the mean
    over the windows that hold it. The network reads in both directions: a bar's mark uses later bars too.

    Args:
        bars: The bars; at least one stretch as long as a window.
        run: Folder of a finished run.

    Returns:
        The spans with their scores.

    Raises:
        FileNotFoundError: The run is not finished.
        ValueError: No stretch is as long as a window, or the run's files are damaged.
    """
    decision = read_decision(run)
    length = decision.length
    starts = _covering(bars.segment, length)
    if not len(starts):
        longest = int(np.unique(bars.segment, return_counts=True)[1].max()) if len(bars) else 0
        raise ValueError(f"bars: want an uninterrupted stretch of {length} bars or more, got {longest}")
    model = moola_models.load_model(run / "model")
    _belong_together(decision, model, run)
    features = compute_features(bars, decision.feature_set)
    if features.names != decision.feature_names:
        raise ValueError(f"run: want features {decision.feature_names}, got {features.names} here")
    found = answers(
        model,
        _Windows(features.values, starts, decision),
        np.arange(len(starts)),
        length=length,
        pointer_encoding="origin",
        countdown_form="raw",
    )
    probability = _mean_over_windows(found.probability[..., None], starts, len(bars))[:, 0]
    trained = read_trained(run)
    drift = None if trained is None else compare(features.values, trained)
    marks = _spans(bars, decision, probability, _types(found, starts, len(bars), length))
    return marks._replace(drift=drift)


def write_marks(path: Path, marks: Marks, bars: Bars) -> None:
    """Writes a spans file with a column ``score``, in one step.

    Raises:
        ValueError: The name ends neither on ``.csv`` nor on ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"out: want a .csv or .parquet file, got {path.name!r}")
    table = spans_table(marks.spans, bars, times="time").assign(score=marks.score)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".csv":
                table.to_csv(file, index=False, lineterminator="\n")
            else:
                table.to_parquet(file, index=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _covering(segment: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """First bars of half-overlapping windows that together hold every bar of every long enough stretch."""
    starts = window_starts(segment, length=length, stride=max(length // 2, 1))
    ends = np.flatnonzero(np.append(np.diff(segment) != 0, True)) + 1 if len(segment) else np.zeros(0, int)
    heads = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    flush = (ends - length)[ends - heads >= length]
    return np.union1d(starts, flush).astype(np.int64)


def _mean_over_windows(
    values: npt.NDArray[np.float32], starts: npt.NDArray[np.int64], bars: int
) -> npt.NDArray[np.float32]:
    _, length, width = values.shape
    total = np.zeros((bars, width))
    rows = (starts[:, None] + np.arange(length)).reshape(-1)
    for column in range(width):
        total[:, column] = np.bincount(rows, weights=values[..., column].reshape(-1), minlength=bars)
    count = np.bincount(rows, minlength=bars).astype(np.float64)
    count[count == 0] = np.nan
    return (total / count[:, None]).astype(np.float32)


def _types(
    found: Answers, starts: npt.NDArray[np.int64], bars: int, length: int
) -> npt.NDArray[np.float32] | None:
    if found.type_probability is None:
        return None
    return _mean_over_windows(np.repeat(found.type_probability[:, None], length, axis=1), starts, bars)


def _spans(
    bars: Bars,
    decision: Decision,
    probability: npt.NDArray[np.float32],
    types: npt.NDArray[np.float32] | None,
) -> Marks:
    known = np.flatnonzero(~np.isnan(probability))
    piece = np.diff(bars.segment[known], prepend=bars.segment[known[:1]]) != 0
    lengths = np.bincount(np.cumsum(piece))
    cut = decode(probability[known], threshold=decision.threshold, lengths=lengths)
    assert cut.score is not None  # decode gives one
    head = known[np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)]
    start, end = head[cut.sequence] + cut.start, head[cut.sequence] + cut.end
    middle = (start + end) // 2
    spans = Spans(
        start=start.astype(np.int64),
        end=end.astype(np.int64),
        type=(np.full(len(start), -1) if types is None else types[middle].argmax(axis=1)).astype(np.int64),
        weight=np.ones(len(start), np.float32),
        type_names=decision.type_names,
        annotator="moola",
    )
    return Marks(spans, cut.score.astype(np.float32), probability)


def _belong_together(decision: Decision, model: moola_models.Jade, run: Path) -> None:
    """A decision for another model would mark nonsense without a word."""
    inputs = len(decision.feature_names) + int(decision.position)
    classes = [head.classes for head in model.config.heads if isinstance(head, TypeHeadConfig)]
    for name, wanted, got in (
        ("weights", decision.weights, weights_digest(run / "model")),
        ("length", decision.length, model.config.window),
        ("features", inputs, model.config.input_size),
        ("type_names", [len(decision.type_names)] if classes else [], classes),
    ):
        if wanted != got:
            raise ValueError(f"run: want the model that {NAME} is for, got other {name}: {got}, not {wanted}")


class _Windows:
    """Windows of unlabelled bars, gathered by index."""

    def __init__(
        self, features: npt.NDArray[np.float32], starts: npt.NDArray[np.int64], decision: Decision
    ) -> None:
        self._features = torch.from_numpy(features)
        self._starts = torch.from_numpy(starts)
        self._bars = torch.arange(decision.length)
        self._ramp = (
            (self._bars / max(decision.length - 1, 1)).float()[:, None] if decision.position else None
        )

    def __len__(self) -> int:
        return len(self._starts)

    def batch(self, index: torch.Tensor) -> Batch:
        inputs = self._features[self._starts[index][:, None] + self._bars]
        if self._ramp is not None:
            inputs = torch.cat([inputs, self._ramp.expand(len(index), -1, 1)], dim=-1)
        return Batch(inputs, {}, {}, torch.ones(len(index)))
