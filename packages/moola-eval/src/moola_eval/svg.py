"""One plot as inline SVG: scales, axes and marks, coloured by CSS classes, for light pages and dark ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating] | npt.NDArray[np.integer] | Sequence[float]
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 40
SERIES = ("one", "two", "three", "four", "five", "six", "seven", "eight")
"""Colours of lines that have no colour of their own, in the order in which they are to be taken."""
CLASSES = frozenset((*SERIES, "truth", "pred", "prob", "chance", "quiet", "plateau", "ring", "up", "down"))
"""Colours that a legend may name."""
FLAT = 0.8
"""Pixels that a bar of no height has."""


@dataclass
class Plot:
    """A frame with two linear scales into which marks are drawn.

    Attributes:
        title: What the plot shows; read aloud by screen readers.
        x: Smallest and largest value of the horizontal scale.
        y: Smallest and largest value of the vertical scale.
        width: Pixels.
        height: Pixels.
        margins: Left, right, top, bottom pixels outside the frame.
        words: What is to be seen in it, for those who do not see it; "" leaves it to the title.
    """

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 480
    height: int = 300
    margins: tuple[int, int, int, int] = (LEFT, RIGHT, TOP, BOTTOM)
    words: str = ""
    _marks: list[str] = field(default_factory=list)

    def across(self, value: float) -> float:
        """Horizontal pixel of a value."""
        left, right = self.margins[:2]
        low, high = self.x
        return left + (value - low) / (high - low) * (self.width - left - right)

    def up(self, value: float) -> float:
        """Vertical pixel of a value."""
        top, bottom = self.margins[2:]
        low, high = self.y
        return self.height - bottom - (value - low) / (high - low) * (self.height - top - bottom)

    def axes(
        self, *, x_ticks: Numbers, y_ticks: Numbers, x_label: str, y_label: str, x_names: Sequence[str] = ()
    ) -> None:
        """Draws grid lines, ticks and the names of the axes."""
        left, right, top, bottom = self.margins
        floor, wall = self.height - bottom, self.width - right
        for value in y_ticks:
            y = self.up(float(value))
            self._marks.append(f'<path class="grid" d="M{left} {y:.1f}H{wall}"/>')
            self.label(left - 6, y + 4, f"{float(value):g}", anchor="end")
        for i, value in enumerate(x_ticks):
            name = x_names[i] if x_names else f"{float(value):g}"
            self.label(self.across(float(value)), floor + 16, name, anchor="middle")
        self._marks.append(f'<path class="axis" d="M{left} {floor}H{wall}"/>')
        self.label((left + wall) / 2, self.height - 5, x_label, anchor="middle", css="name")
        if y_label:
            middle = (top + floor) / 2
            self._marks.append(
                f'<text class="name" text-anchor="middle" transform="translate(12 {middle:.1f}) rotate(-90)">'
                f"{escape(y_label)}</text>"
            )

    def line(self, x: Numbers, y: Numbers, css: str, *, tip: str = "") -> None:
        """Draws a polyline through the points; NaN interrupts it."""
        commands, pen = [], "M"
        for a, b in zip(np.asarray(x, dtype=float), np.asarray(y, dtype=float), strict=True):
            if np.isnan(a) or np.isnan(b):
                pen = "M"
                continue
            commands.append(f"{pen}{self.across(float(a)):.1f} {self.up(float(b)):.1f}")
            pen = "L"
        if commands:
            self._marks.append(f'<path class="line {css}" d="{"".join(commands)}">{_tip(tip)}</path>')

    def box(self, x0: float, x1: float, y0: float, y1: float, css: str, *, tip: str = "") -> None:
        """Draws a filled rectangle between values."""
        a, b = sorted((self.across(x0), self.across(x1)))
        c, d = sorted((self.up(y0), self.up(y1)))
        self._marks.append(
            f'<rect class="fill {css}" x="{a:.1f}" y="{c:.1f}" width="{b - a:.1f}" height="{d - c:.1f}">'
            f"{_tip(tip)}</rect>"
        )

    def bars(self, x: Numbers, low: Numbers, high: Numbers, css: str, *, width: float) -> None:
        """Draws upright strokes from low to high, `width` pixels wide, as one mark; flat ones are seen."""
        pieces = []
        for a, b, c in zip(x, low, high, strict=True):
            bottom, top = self.up(float(b)), self.up(float(c))
            if bottom - top < FLAT:
                middle = (bottom + top) / 2
                bottom, top = middle + FLAT / 2, middle - FLAT / 2
            pieces.append(f"M{self.across(float(a)):.1f} {bottom:.1f}V{top:.1f}")
        if pieces:
            self._marks.append(f'<path class="bars {css}" stroke-width="{width:.1f}" d="{"".join(pieces)}"/>')

    def dot(self, x: float, y: float, css: str, *, radius: float = 4, tip: str = "") -> None:
        """Draws a disc."""
        self._marks.append(
            f'<circle class="dot {css}" cx="{self.across(x):.1f}" cy="{self.up(y):.1f}" r="{radius:.1f}">'
            f"{_tip(tip)}</circle>"
        )

    def note(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        dx: float = 0,
        dy: float = 0,
        css: str = "tick",
    ) -> None:
        """Writes words at a value, moved by pixels."""
        self.label(self.across(x) + dx, self.up(y) + dy, words, anchor=anchor, css=css)

    def label(self, x: float, y: float, words: str, *, anchor: str = "start", css: str = "tick") -> None:
        """Writes words at a pixel."""
        self._marks.append(
            f'<text class="{css}" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
        )

    def svg(self) -> str:
        """Returns the element."""
        words = f"<desc>{escape(self.words)}</desc>" if self.words else ""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img"><title>{escape(self.title)}</title>'
            f"{words}{''.join(self._marks)}</svg>"
        )


def legend(items: Iterable[tuple[str, str]]) -> str:
    """Writes (css, words) pairs as a row of coloured squares with words."""
    entries = "".join(
        f'<span><i class="{escape(css, quote=True)}"></i>{escape(words)}</span>' for css, words in items
    )
    return f'<div class="legend">{entries}</div>'


def steps(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers between two values, about as many as asked for."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw * 0.999)
    first = np.ceil(low / step - 1e-9)
    last = np.floor(high / step + 1e-9)
    return [float(round(k * step, 12)) + 0.0 for k in np.arange(first, last + 1)]


def _tip(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
