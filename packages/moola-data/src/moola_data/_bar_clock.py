"""Finds the bars that a stretch of time covers, and says how far the stretch had to be bent."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from moola_data.bar_lookup import first_bars
from moola_data.import_report import Action
from moola_data.schema import Bars

Int = npt.NDArray[np.int64]
Closed = Literal["both", "left"]
MINUTE = 60 * 10**9


class RefusedError(Exception):
    """A label of which no span can be made; the message is the reason."""


class Bend(NamedTuple):
    """A change that was needed: what and why."""

    action: Action
    reason: str


def bar_steps(bars: Bars) -> Int:
    """Gives the usual time between two bars of each symbol: the median inside its segments.

    A symbol without two bars in a segment takes the median over all symbols; failing that, one minute.

    Returns:
        Nanoseconds by symbol, i8 (symbols,).
    """
    time = bars.time.astype(np.int64)
    inside = np.flatnonzero(np.diff(bars.segment) == 0)
    step, symbol = np.diff(time)[inside], bars.symbol[inside]

    def median(of: Int, otherwise: int) -> int:
        # The lower one, so that it is a step that occurs, in whole seconds if the bars are.
        return int(np.quantile(of, 0.5, method="lower")) if len(of) else otherwise

    usual = median(step, MINUTE)
    found = [step[symbol == one] for one in range(len(bars.symbols))]
    return np.array([median(own, usual) for own in found], np.int64)


class BarClock:
    """The bars of one symbol by time. All times are nanoseconds since 1970 in the bars' own clock.

    Bar i begins at its time and ends at the next bar's time, or a usual step later where that is earlier:
    the last bar before a gap does not last all night. What is no further than `slack` from a bar is on it.
    """

    def __init__(self, bars: Bars, symbol: int, *, tolerance: int | None = None, slack: int = 0) -> None:
        first = first_bars(bars)
        self.first, after = int(first[symbol]), int(first[symbol + 1])
        self.time = bars.time[self.first : after].astype(np.int64)
        self.slack = slack
        self.step = int(bar_steps(bars)[symbol])
        self.tolerance = self.step if tolerance is None else tolerance
        following = np.append(self.time, np.iinfo(np.int64).max)[1:]
        self.end_time = np.minimum(self.time + self.step, following)
        # A span may end where its last bar ends or, across a gap, where the next bar begins.
        number = np.arange(len(self.time))
        ends = np.concatenate([self.end_time, self.time[1:]])
        self._ends, kept = np.unique(ends, return_index=True)
        self._end_bar = np.concatenate([number, number[:-1]])[kept]

    def place(
        self, start: int, end: int, *, closed: Closed, instant: bool = False
    ) -> tuple[int, int, list[Bend]]:
        """Finds the first and the last bar of a stretch of time.

        Args:
            start: When it starts.
            end: When it ends: the last bar's time if closed is "both", the end of the last bar if "left".
            closed: What `end` means.
            instant: Whether the label marks one moment: the bar at `start`, whatever `closed` says.

        Returns:
            First and last bar, both inclusive, numbers of the `Bars`; and what was bent.

        Raises:
            RefusedError: No bar is near enough, or none lies inside.
        """
        if not len(self.time):
            raise RefusedError("there are no bars of its symbol")
        if end < start:
            raise RefusedError("ends before it starts")
        bends: list[Bend] = []
        if instant:
            if end != start:
                raise RefusedError("an instant that lasts")
            closed = "both"
        elif start == end:
            if closed == "left":
                raise RefusedError("zero length: no bar lies inside")
            bends.append(Bend("kept", "zero length: the one bar at that time"))
        limits = self._ends if closed == "left" else self.time
        if end < self.time[0] - self.tolerance or start > limits[-1] + self.tolerance:
            raise RefusedError("outside the bars")
        first = self._nearest(self.time, start, "time" if instant else "start", bends)
        if closed == "both" and start == end:
            return self.first + first, self.first + first, bends
        last = self._nearest(limits, end, "end", bends)
        if closed == "left":
            last = int(self._end_bar[last])
        if last < first:
            raise RefusedError("no bar lies inside")
        return self.first + first, self.first + last, bends

    def _nearest(self, times: Int, time: int, name: str, bends: list[Bend]) -> int:
        """Finds the nearest of ascending times; of equals the earlier."""
        right = int(np.searchsorted(times, time))
        near = [i for i in (right - 1, right) if 0 <= i < len(times)]
        best = min(near, key=lambda i: abs(int(times[i]) - time))
        away = abs(int(times[best]) - time)
        if away <= self.slack:
            return best
        if away > self.tolerance and len(near) == 2:
            raise RefusedError(f"no bar near the {name}: the nearest is {seconds(away)} s away")
        if away > self.tolerance:
            if (name == "end") == (right == 0):
                raise RefusedError("outside the bars")
            bends.append(Bend("clipped", f"{name} lies {seconds(away)} s outside the bars"))
        else:
            bends.append(Bend("snapped", f"{name} lies {seconds(away)} s from the nearest bar"))
        return best


def seconds(nanoseconds: int) -> str:
    """Writes nanoseconds as seconds, exactly, without needless zeros."""
    whole, rest = divmod(abs(nanoseconds), 10**9)
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{whole}.{rest:09d}".rstrip("0").rstrip(".")


def stamp(bars: Bars, bar: int) -> str:
    """Writes a bar's time as ISO 8601, as short as is exact."""
    return str(np.datetime_as_string(bars.time[bar], unit="auto"))
