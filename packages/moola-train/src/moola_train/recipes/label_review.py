"""The labels of a file, ranked by how wrong they look to networks that have not learnt from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from moola_data.schema import Bars, Spans
from moola_data.spans import visible_spans
from moola_train.recipes.cross_fitting import Fold, cross_fitted
from moola_train.recipes.label_doubt import Doubt, window_doubts
from moola_train.recipes.labelling_value import drawn_marks
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.unlabelled import UnlabelledWindows

Int = npt.NDArray[np.int64]
BATCH = 64
COLUMNS = ("kind", "odds", "start", "end", "better_start", "better_end", "window")


class _Place(NamedTuple):
    window: int
    doubt: Doubt


def doubtful_labels(
    bars: Bars,
    spans: Spans,
    config: RunConfig,
    *,
    folds: int = 5,
    samples: int = 128,
    seed: int = 0,
    told: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Trains on a part of the labels, judges the rest, and so on until all are judged.

    Args:
        bars: The bars; every one of them counts as looked at by whoever labelled.
        spans: The labels.
        config: Of the trainings.
        folds: How many parts.
        samples: Sets of spans drawn for each window.
        seed: Of the draws.
        told: Of finished folds, and how many there are.

    Returns:
        One row a doubt, the likeliest first: `kind` ("missing", "spurious" or "shifted"); `odds`, how much
        likelier the window is with a wrong label than with a right one; `start` and `end`, what is marked
        (bar numbers, both included; missing where nothing is); `better_start` and `better_end`, what the
        network would mark (missing where nothing); `window`, first bar of the window it was judged in.

    Raises:
        ValueError: Too few bars or spans for so many folds.
    """
    if samples < 1:
        raise ValueError(f"samples: want 1 or more, got {samples}")
    chance = torch.Generator().manual_seed(seed)
    rows: list[_Place] = []
    windows: list[Int] = []
    # Folds share no middle of a window, but a bar may be seen from both sides of their border.
    for fold in cross_fitted(bars, spans, config, folds=folds):
        rows += _of_fold(fold, spans, samples=samples, chance=chance)
        windows.append(fold.windows.starts)
        if told is not None:
            told(fold.number + 1, folds)
    judged = np.unique(np.concatenate(windows))
    table = pd.DataFrame(
        [
            (
                doubt.kind,
                float(np.exp(doubt.log_odds)),
                *(_bars(doubt.label, window)),
                *(_bars(doubt.better, window)),
                window,
            )
            for window, doubt in rows
            if _owner(window + doubt.middle, judged, bars, length=config.data.length) == window
        ],
        columns=list(COLUMNS),
    ).astype(dict.fromkeys(COLUMNS[2:], "Int64") | {"odds": "float64"})
    return _once(table.sort_values("odds", ascending=False, kind="stable", ignore_index=True))


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """Drops a missing span that a neighbouring window has named with more conviction."""
    kept: list[int] = []
    said: list[tuple[int, int]] = []
    for row, (kind, first, last) in enumerate(
        zip(table["kind"], table["better_start"], table["better_end"], strict=True)
    ):
        if kind == "missing":
            if any(first <= b and last >= a for a, b in said):
                continue
            said.append((first, last))
        kept.append(row)
    return table.iloc[kept].reset_index(drop=True)


def _of_fold(fold: Fold, spans: Spans, *, samples: int, chance: torch.Generator) -> list[_Place]:
    windows = fold.windows
    device = next(fold.model.parameters()).device
    data = UnlabelledWindows(
        windows.features, windows.starts, length=windows.length, position=windows.position, device=device
    )
    seen = visible_spans(spans, windows.starts, length=windows.length)
    drawn, probability = [], []
    with torch.inference_mode():
        for rows in torch.arange(len(data)).split(BATCH):
            z_BKR = fold.model.encode(data.batch(rows).inputs)
            drawn.append(drawn_marks(fold.model, z_BKR, samples, generator=chance).cpu().numpy())
            inside = fold.model.head("span")(fold.model.states(z_BKR)).sigmoid()
            probability.append(inside.double().cpu().numpy())
    sets, inside_nK = np.concatenate(drawn), np.concatenate(probability)
    share = float(np.clip(inside_nK.mean(), 1e-4, 0.5))
    found = []
    for number, start in enumerate(windows.starts.tolist()):
        mine = seen.window == number
        doubts = window_doubts(sets[number], inside_nK[number], seen.start[mine], seen.end[mine], share=share)
        found += [_Place(start, doubt) for doubt in doubts]
    return found


def _owner(bar: int, judged: Int, bars: Bars, *, length: int) -> int:
    """The window that knows most of what is around a bar: whose middle is nearest, in the bar's segment."""
    low, high = np.searchsorted(judged, [bar - length + 1, bar + 1])
    near = judged[low:high]
    near = near[bars.segment[near] == bars.segment[bar]]
    return int(near[np.abs(near + length // 2 - bar).argmin()])


def _bars(span: tuple[int, int] | None, window: int) -> tuple[object, object]:
    return (pd.NA, pd.NA) if span is None else (window + span[0], window + span[1])
