"""A window of bars as candlesticks, with spans in bands below and the probability at the bottom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moola_eval._arguments import FloatArray, finite
from moola_eval.spans import Spans
from moola_eval.svg import Plot, steps
from moola_eval.timeline import seen_spans

COLOURS = {"true": "truth", "predicted": "pred"}
"""Of the bands by name; others take those of `OTHERS` in turn."""
OTHERS = ("pred", "one", "four")
BAND, GAP = 0.16, 0.2
LETTERS = 9
"""Of a band's name."""
TALL = 2.6
"""Height of the prices; the probability has 1."""


@dataclass(frozen=True, eq=False)
class Candles:
    """Prices of n windows of K bars.

    Attributes:
        prices: (n, K, 4) float64: open, high, low, close of every bar.
        words: (n,) what to say of each window, such as its times; or none at all.
    """

    prices: FloatArray
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where prices are none, or a high is below a low."""
        if self.prices.ndim != 3 or self.prices.shape[2] != 4:
            raise ValueError(f"prices: want shape (n, K, 4), got {self.prices.shape}")
        finite("prices", self.prices)
        bad = np.argwhere(
            (self.prices.max(axis=2) > self.prices[..., 1]) | (self.prices.min(axis=2) < self.prices[..., 2])
        )
        if len(bad):
            row = tuple(int(i) for i in bad[0])
            raise ValueError(f"prices: want open and close between low and high, got others in row {row}")
        if self.words and len(self.words) != len(self.prices):
            raise ValueError(f"words: want {len(self.prices)}, one a window, got {len(self.words)}")


def candle_window(
    candles: Candles,
    bands: Mapping[str, Spans],
    *,
    window: int,
    view: tuple[int, int],
    probability: Mapping[str, npt.NDArray[np.floating]] | None = None,
    threshold: float | None = None,
) -> str:
    """Draws one window.

    Args:
        candles: The prices.
        bands: Spans by name, four at most, the truth first; its shade lies over the whole drawing.
        window: Which.
        view: First and last bar to be shown.
        probability: (K,) of its bars, 0..1, by name; one with a band's name has its colour.
        threshold: Of the probability.

    Returns:
        The drawing.
    """
    first, last = view
    floor = 1.12 + GAP * len(bands)
    plot = Plot(
        f"Window {window}: prices, {' and '.join(bands)} spans, probability",
        (first - 0.5, last + 0.5),
        (0, floor + TALL),
        width=480,
        height=300,
        margins=(58, 6, 4, 34),
        words="; ".join(f"{name}: {_told(spans, window)}" for name, spans in bands.items()),
    )
    _grid(plot, candles.prices[window, first : last + 1], floor, first, last)
    colours = band_colours(bands)
    for row, (name, spans) in enumerate(bands.items()):
        css = colours[name]
        low = floor - GAP * (row + 1)
        plot.label(52, plot.up(low + BAND / 2) + 4, name[:LETTERS], anchor="end")
        for start, end, tip in seen_spans(spans, window, first, last):
            plot.box(start - 0.5, end + 0.5, low, low + BAND, css, tip=f"{name} {tip}")
            if name == "true":
                plot.box(start - 0.5, end + 0.5, 0, 1, "shade")
                plot.box(start - 0.5, end + 0.5, floor, floor + TALL, "shade")
    _prices(plot, candles.prices[window, first : last + 1], floor, first)
    if threshold is not None and 0 <= threshold <= 1:
        plot.line([first - 0.5, last + 0.5], [threshold] * 2, "cut", tip=f"threshold {threshold:g}")
    for name, values in (probability or {}).items():
        plot.line(np.arange(first, last + 1), values[first : last + 1], colours.get(name, "prob"))
    return plot.svg()


def band_colours(bands: Iterable[str]) -> dict[str, str]:
    """Colours of bands, for a legend."""
    others = iter(OTHERS)
    return {name: COLOURS.get(name) or next(others) for name in bands}


def _grid(plot: Plot, prices: FloatArray, floor: float, first: int, last: int) -> None:
    plot.axes(x_ticks=steps(first, last, about=8), y_ticks=[], x_label="bar of the window", y_label="")
    for value in (0.0, 0.5, 1.0):
        plot.line([first - 0.5, last + 0.5], [value, value], "rule")
        plot.label(52, plot.up(value) + 4, f"{value:g}", anchor="end")
    low, high = float(prices.min()), float(prices.max())
    for price in steps(low, high, about=4):
        at = float(_height(np.float64(price), prices, floor))
        plot.line([first - 0.5, last + 0.5], [at, at], "rule")
        plot.label(52, plot.up(at) + 4, f"{price:.6g}", anchor="end")


def _prices(plot: Plot, prices: FloatArray, floor: float, first: int) -> None:
    opened, high, low, closed = (_height(column, prices, floor) for column in prices.T)
    x = first + np.arange(len(prices))
    wide = max(1.0, 0.68 * (plot.across(1) - plot.across(0)))
    for css, mine in (("up", closed >= opened), ("down", closed < opened)):
        plot.bars(x[mine], low[mine], high[mine], css, width=min(1.0, wide / 2))
        bottom, top = np.minimum(opened, closed), np.maximum(opened, closed)
        plot.bars(x[mine], bottom[mine], top[mine], css, width=wide)


def _height(values: npt.NDArray[np.float64] | np.float64, prices: FloatArray, floor: float) -> FloatArray:
    """Place of prices on the drawing's scale; a window that never moves lies in the middle."""
    low, high = prices.min(), prices.max()
    share = (values - low) / (high - low) if high > low else np.full(np.shape(values), 0.5)
    return np.asarray(floor + 0.06 + share * (TALL - 0.12), dtype=np.float64)


def _told(spans: Spans, window: int) -> str:
    mine = np.flatnonzero(spans.sequence == window)
    return ", ".join(f"bars {spans.start[i]} to {spans.end[i]}" for i in mine) or "none"
