"""The page of one run: its report, its data, its training, and what else was tried on the same windows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from moola_data.card import dataset_card
from moola_data.schema import Bars, WindowSet
from moola_data.window_subset import part
from moola_eval.candles import Candles
from moola_eval.html import report_html
from moola_eval.schema import EvalInput, Report
from moola_eval.section import Grid, Section
from moola_train.recipes.bottom_line import ORIGIN, bottom_line
from moola_train.recipes.card_section import card_section
from moola_train.recipes.decision import Marking
from moola_train.recipes.differing_settings import differing
from moola_train.recipes.doctor_section import doctor_section
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_importance import importance_section, read_importance
from moola_train.recipes.run_in_words import run_in_words
from moola_train.recipes.run_source import RunInputs
from moola_train.recipes.training_section import training_section
from moola_train.recipes.trial_ledger import known_runs, trials_section
from moola_train.records import read_records

PAGE = "report.html"
LONGEST = 200
"""Letters of a setting."""


def run_page(
    folder: Path,
    *,
    inputs: RunInputs,
    config: RunConfig,
    windows: WindowSet,
    report: Report,
    data: EvalInput,
    marking: Marking,
) -> str:
    """Writes the page.

    Args:
        folder: Of the run, with its records, metadata and model.
        inputs: Its bars and spans.
        config: Its settings.
        windows: Cut from them.
        report: On the test part.
        data: What the report was computed from.
        marking: How files are marked.

    Returns:
        HTML, below 2 MB; the same for the same folder and the runs beside it.
    """
    card = dataset_card(inputs.bars, inputs.spans, window_set=windows)
    importance = read_importance(folder)
    best = _read(folder / "model" / "card.json").get("best_epoch")
    sections = [
        training_section(
            read_records(folder / "records.jsonl"),
            best_epoch=best if isinstance(best, int) else None,
            selection=config.fit.selection,
        ),
        doctor_section(folder),
        card_section(card),
        *([] if importance is None else [importance_section(importance)]),
        trials_section(known_runs(folder.resolve().parent), report, name=folder.resolve().name),
        _made_by(folder, config),
    ]
    place = run_in_words(config, marking)
    return report_html(
        report,
        data,
        title=f"Run {folder.resolve().name}",
        lead=[bottom_line(report), *inputs.source.notes, place, ORIGIN],
        sections=sections,
        candles=window_candles(inputs.bars, part(windows, "test")),
    )


def window_candles(bars: Bars, windows: WindowSet) -> Candles:
    """Prices of windows, and in words where they lie.

    Args:
        bars: The bars.
        windows: Windows cut from them, not mirrored.
    """
    rows = windows.starts[:, None] + np.arange(windows.length)
    prices = np.stack([column[rows] for column in (bars.open, bars.high, bars.low, bars.close)], axis=2)
    words = []
    for first, last in rows[:, [0, -1]].tolist():
        place = f"bars {first} to {last}"
        symbol = bars.symbols[int(bars.symbol[first])]
        if len(bars.symbols) > 1:
            place = f"{symbol}, {place}"
        if not np.isnat(bars.time[first]):
            place += f", {_time(bars.time[first])} to {_time(bars.time[last])}"
        words.append(place)
    return Candles(prices, tuple(words))


def _time(moment: np.datetime64) -> str:
    text = str(moment.astype("datetime64[s]"))
    return text.removesuffix("T00:00:00").replace("T", " ")


def _made_by(folder: Path, config: RunConfig) -> Section:
    about = _read(folder / "metadata.json")
    standard = RunConfig().model_dump(mode="json")
    rows = [
        (name, shortened(values[1]), shortened(values[0]))
        for name, values in differing([standard, config.model_dump(mode="json")]).items()
    ]
    told = [
        (name, shortened(about[name]), "")
        for name in ("timestamp", "model_params", "versions", "hardware")
        if name in about
    ]
    return Section(
        name="How it was made",
        parts=(
            Grid(
                head=("setting that is not the recipe's", "this run", "the recipe"),
                rows=tuple(rows),
                sentences=(1, 2),
            ),
            Grid(head=("about the run", "", ""), rows=tuple(told), sentences=(1,)),
        ),
    )


def shortened(value: JsonValue) -> str:
    """A setting in words, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _read(path: Path) -> dict[str, JsonValue]:
    """Reads a JSON object that a run wrote."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"run: want the folder of a run with {path.name}, got {path.parent}"
        ) from None
    except ValueError as error:
        raise ValueError(f"run: want a readable {path}, got {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"run: want an object in {path}, got {type(found).__name__}")
    return found
