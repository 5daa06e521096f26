"""What looks wrong with bars that break no rule: split-like jumps, holes, frozen or off-grid prices."""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from moola_data.schema import Bars

RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0)
"""Stock splits that happen; their inverses are reverse splits."""
NEAR = 0.06
"""Relative distance within which a jump is split-like: about a day's usual move."""
FROZEN = 10
"""Bars in a row without any range at one price that look like a feed standing still."""


def list_suspicions(
    bars: Bars, *, tick: float | None = None, gap: datetime.timedelta | None = None
) -> pd.DataFrame:
    """Lists what a person should look at before trusting the bars. Nothing is changed.

    Args:
        bars: Checked bars.
        tick: Smallest step of prices; those off its grid are listed if it is given.
        gap: Longest time between two bars of a symbol that is not worth a look; 20 times the median unless
            given.

    Returns:
        Columns `row` (number of the bar), `rule` and `value`, sorted by row. The rules: "off the tick grid",
        "split-like jump" from a close to the next open, "gap in time" before the bar, and "frozen price",
        at the first of ten or more bars in a row that stand at one price.

    Raises:
        ValueError: `tick` or `gap` is not positive, or `tick` not finite.

    >>> from moola_data.sample import load_sample
    >>> list_suspicions(load_sample())
       row             rule                      value
    0  148  split-like jump  26.75 -> 14.095, near 1/2
    """
    if tick is not None and not 0 < tick < np.inf:
        raise ValueError(f"tick: want a finite number above 0, got {tick}")
    if gap is not None and gap <= datetime.timedelta(0):
        raise ValueError(f"gap: want a positive time, got {gap}")
    found = [*_jumps(bars), *_gaps(bars, gap), *_frozen(bars)]
    if tick is not None:
        found += _off_grid(bars, tick)
    table = pd.DataFrame(found, columns=["row", "rule", "value"]).astype({"row": np.int64})
    return table.sort_values("row", kind="stable").reset_index(drop=True)


def _same_symbol(bars: Bars) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = bars.symbol[1:] == bars.symbol[:-1]
    return same


def _jumps(bars: Bars) -> list[tuple[int, str, str]]:
    before, after = bars.close[:-1], bars.open[1:]
    found = []
    for ratio in RATIOS:
        for factor, name in ((ratio, f"{ratio:g}"), (1 / ratio, f"1/{ratio:g}")):
            near = np.abs(after / (before * factor) - 1) < NEAR
            found += [
                (int(row) + 1, "split-like jump", f"{before[row]:g} -> {after[row]:g}, near {name}")
                for row in np.flatnonzero(near & _same_symbol(bars))
            ]
    return found


def _gaps(bars: Bars, gap: datetime.timedelta | None) -> list[tuple[int, str, str]]:
    step = np.diff(bars.time)
    same = _same_symbol(bars)
    if not same.any():
        return []
    longest = (
        np.timedelta64(gap)
        if gap is not None
        else 20 * np.median(step[same].astype(np.int64)).astype("m8[ns]")
    )
    return [
        (int(row) + 1, "gap in time", str(pd.Timedelta(step[row])))
        for row in np.flatnonzero(same & (step > longest))
    ]


def _frozen(bars: Bars) -> list[tuple[int, str, str]]:
    flat = bars.high == bars.low
    still = np.concatenate(
        [[False], flat[1:] & flat[:-1] & (bars.close[1:] == bars.close[:-1]) & _same_symbol(bars)]
    )
    edge = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    return [
        (int(first) - 1, "frozen price", f"{bars.close[first]:g} for {stop - first + 1} bars")
        for first, stop in zip(edge[::2], edge[1::2], strict=True)
        if stop - first + 1 >= FROZEN
    ]


def _off_grid(bars: Bars, tick: float) -> list[tuple[int, str, str]]:
    found = []
    for name in ("open", "high", "low", "close"):
        price = getattr(bars, name)
        steps = price / tick
        off = np.abs(steps - np.round(steps)) > 1e-6 * np.maximum(1, np.abs(steps) * 1e-6)
        found += [
            (int(row), "off the tick grid", f"{name}={price[row].item()!r}") for row in np.flatnonzero(off)
        ]
    return found
