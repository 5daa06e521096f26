"""The windows of a file that are to be labelled next, as a table and as marks to be corrected."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.bar_lookup import first_bars
from moola_data.features import compute_features
from moola_data.schema import Bars, Spans
from moola_train.recipes.covering import covering_starts
from moola_train.recipes.detector import Detector
from moola_train.recipes.label_doubt import runs
from moola_train.recipes.label_ranking import Work, rank_windows
from moola_train.recipes.labelling_value import labelling_values
from moola_train.recipes.unlabelled import UnlabelledWindows

Int = npt.NDArray[np.int64]


class Queue(NamedTuple):
    """Windows in the order in which they are worth labelling."""

    table: pd.DataFrame
    """One row a window: `rank` from 1; `symbol`; `start` and `end`, times of its first and last bar; `bar`,
    the number of its first in the symbol; `value`, 2 for a usual window of the file; `errors` and `spans`
    that are expected; `information` in nats; `hours` of work and their sum so far; `left`, the share of the
    value that windows above it do not tell; `score`, value an hour times that."""
    first: Int
    """First bars of the windows."""
    last: Int
    spans: Spans
    """What the network would mark in them."""
    score: npt.NDArray[np.float32]
    """Mean probability of each span's bars."""
    candidates: int
    """Windows that it was chosen from."""


def next_windows(
    detector: Detector,
    bars: Bars,
    *,
    count: int,
    work: Work | None = None,
    known: npt.NDArray[np.bool_] | None = None,
    samples: int = 64,
    passes: int = 8,
    seed: int = 0,
    told: Callable[[int, int], None] | None = None,
) -> Queue:
    """Ranks the windows of a file that nobody has labelled.

    Args:
        detector: A finished run.
        bars: The bars.
        count: How many windows are wanted; fewer come where there are no more that share no bar.
        work: What labelling costs.
        known: Bars that are labelled already, (N,); windows with one of them are left out.
        samples: As `labelling_values`.
        passes: The same.
        seed: The same.
        told: The same.

    Raises:
        ValueError: No window is left, or a number is out of range.
    """
    if count < 1:
        raise ValueError(f"count: want 1 or more windows, got {count}")
    length = detector.decision.length
    starts = covering_starts(bars.segment, length=length, mode="both")
    if known is not None:
        if known.shape != (len(bars),):
            raise ValueError(f"known: want {len(bars)} bools, one a bar, got shape {known.shape}")
        before = np.concatenate([[0], np.cumsum(known)])
        starts = starts[before[starts + length] == before[starts]]
    if not len(starts):
        raise ValueError(f"bars: want {length} bars or more in a row that nobody has labelled, got none")
    data = UnlabelledWindows(
        compute_features(bars, detector.features).values,
        starts,
        length=length,
        position=detector.decision.position,
        device=detector.device,
    )
    said = labelling_values(detector.model, data, samples=samples, passes=passes, seed=seed, told=told)
    hours = (work or Work()).hours(said.spans)
    ranked = rank_windows(said.value, hours, said.encoding, count=count, starts=starts, length=length)
    chosen = ranked.window
    first = starts[chosen]
    symbol = bars.symbol[first]
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(chosen) + 1),
            "symbol": np.array(bars.symbols, object)[symbol],
            "start": bars.time[first],
            "end": bars.time[first + length - 1],
            "bar": first - first_bars(bars)[symbol],
            "value": said.value[chosen],
            "errors": said.errors[chosen],
            "spans": said.spans[chosen],
            "information": said.information[chosen],
            "hours": hours[chosen],
            "hours_so_far": np.cumsum(hours[chosen]),
            "left": ranked.left,
            "score": ranked.score,
        }
    )
    of_window, start, end = runs(said.marks[chosen])
    sums = np.cumsum(np.pad(said.probability[chosen].astype(np.float64), ((0, 0), (1, 0))), axis=1)
    score = (sums[of_window, end + 1] - sums[of_window, start]) / (end - start + 1)
    spans = Spans(
        start=first[of_window] + start,
        end=first[of_window] + end,
        type=np.full(len(start), -1, np.int64),
        weight=np.ones(len(start), np.float32),
        type_names=detector.decision.type_names,
        annotator="moola",
        label="expansion",
    )
    return Queue(table, first, first + length - 1, spans, score.astype(np.float32), len(starts))
