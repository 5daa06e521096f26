"""Real bars for a study: labelled by rule, split so that nothing reported was near what was trained on."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from moola_data.expansion_rule import label_expansions
from moola_data.features import compute_features
from moola_data.sample import load_sample
from moola_data.schema import Bars, Spans, WindowSet
from moola_data.window_set import build_window_set
from moola_data.window_split import WindowSplit, split_windows
from moola_train.recipes.bar_range import bars_between
from moola_train.recipes.futures_ticks import futures_bars
from moola_train.recipes.run_config import DataSection

FOLDS = 3
"""Of a walk forward: the last three fifths of the time, one after the other."""
INNER = 0.2
"""Share of the time before the report that choices see: its end."""


class StocksSource(BaseModel):
    """Daily bars of four stocks: train on three before a date, report the fourth after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["stocks"] = "stocks"
    held_out: Literal["AAPL", "GOOG", "IBM", "MSFT"]
    stride: Annotated[int, Field(ge=1)] = 30
    """Bars from one training window to the next."""
    reported: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of the time that is reported: its end, for every symbol from the same day on."""


class FuturesSource(BaseModel):
    """Bars of one futures market: train on the past, report the fifth of the time that follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["futures"] = "futures"
    seconds: Literal[1, 10] = 10
    """Of a bar."""
    fold: Annotated[int, Field(ge=0, lt=FOLDS)] = 0
    """Which fifth is reported: the third, fourth or fifth."""
    stride: Annotated[int, Field(ge=1)] = 15


class RealWindows(NamedTuple):
    """Windows of real bars with their parts, and the bars."""

    windows: WindowSet
    bars: Bars


def real_windows(source: StocksSource | FuturesSource, section: DataSection) -> RealWindows:
    """Cuts and splits the windows of a real market.

    Labels are those of `moola_data.expansion_rule` with its defaults. It sees the future of a bar, as a
    person who labels does; the features do not. Windows that share bars or labels with another part's time
    are left out, of whichever symbol they are.

    Args:
        source: Which market, and what is reported.
        section: How bars become windows; its stride, fractions and block do not apply.

    Returns:
        Part 0 is trained on, part 1 is what choices see, part 2 is reported.

    Raises:
        ValueError: The bars could not be fetched.
    """
    bars, spans, fractions = _stocks(source) if isinstance(source, StocksSource) else _futures(source)
    split = split_windows(bars, spans, length=section.length, stride=source.stride, fractions=fractions)
    if isinstance(source, StocksSource):
        number = bars.symbols.index(source.held_out)
        held_out = bars.symbol[split.starts] == number
        split = _kept(split, held_out == (split.split == 2))
    windows = build_window_set(
        bars,
        compute_features(bars, section.feature_set),
        spans,
        length=section.length,
        position=section.position,
        pointer_encoding=section.pointer_encoding,
        countdown_form=section.countdown_form,
        countdown_band=section.countdown_band,
        span_form=section.span_form,
        split=split,
    )
    return RealWindows(windows, bars)


def _stocks(source: StocksSource) -> tuple[Bars, Spans, tuple[float, float, float]]:
    bars = load_sample()
    known = 1 - source.reported
    return bars, label_expansions(bars), (known * (1 - INNER), known * INNER, source.reported)


def _futures(source: FuturesSource) -> tuple[Bars, Spans, tuple[float, float, float]]:
    bars = futures_bars(source.seconds)
    fifths = 3 + source.fold
    last = bars.time[len(bars) * fifths // 5 - 1]
    used, spans = bars_between(bars, label_expansions(bars), begin=None, end=str(last))
    known = 1 - 1 / fifths
    return used, spans, (known * (1 - INNER), known * INNER, 1 / fifths)


def _kept(split: WindowSplit, keep: npt.NDArray[np.bool_]) -> WindowSplit:
    return split.model_copy(
        update={"starts": split.starts[keep], "group": split.group[keep], "split": split.split[keep]}
    )
