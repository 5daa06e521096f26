"""The origin's hand-made formula for "an expansion is under way", and the four quantities it is made of.

    score = clip((w_r * ret5 + w_s * streak / 10) / (vol20 + eps), 0, 1)

It is kept as it was so that its claim can be tested again, and it has known faults: falling expansions cannot
score, as negative returns are clipped away; the numerator is a pure number and the denominator is in points,
so that the score depends on the price level and is hardly more than streak / vol20.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from moola_data._arrays import Arr, Boundary
from moola_data.features import segment_heads
from moola_data.schema import Bars, Spans
from moola_data.spans import check_spans

Double = npt.NDArray[np.float64]
Undefined = Literal["nan", "zero"]
LOOK_BACK = 20
"""Bars that a score is made of, its own included."""


class ProxyTerms(Boundary):
    """What the formula is made of, for every bar t; NaN at the head of a segment and where undefined.

    With o, h, l, c the prices of a bar:

    * momentum3: (c_t - c_{t-3}) / (highest h - lowest l of the last 4 bars), in -1..1;
    * streak: how many of the last 10 bars closed above their open, 0..10;
    * ret5: sum of the last 5 returns c_i / c_{i-1} - 1;
    * vol20: standard deviation (n - 1) of h - l over the last 20 bars, in price points.
    """

    momentum3: Annotated[Double, Arr("f8", ("N",))]
    streak: Annotated[Double, Arr("f8", ("N",))]
    ret5: Annotated[Double, Arr("f8", ("N",))]
    vol20: Annotated[Double, Arr("f8", ("N",))]


class ProxyFormula(BaseModel):
    """A formula of the family: its weights and what keeps it from dividing by nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    return_weight: float = Field(ge=0, allow_inf_nan=False)
    streak_weight: float = Field(ge=0, allow_inf_nan=False)
    eps: float = Field(gt=0, allow_inf_nan=False)

    def score(self, terms: ProxyTerms, *, undefined: Undefined = "nan") -> Double:
        """Scores every bar.

        Args:
            terms: Terms of N bars.
            undefined: "nan" leaves a bar without all of its terms unscored; "zero" takes the missing ones as
                0, as the origin did, which divides by `eps` alone.

        Returns:
            Scores in 0..1 or NaN, f8 (N,).
        """
        ret5, streak, vol20 = terms.ret5, terms.streak, terms.vol20
        if undefined == "zero":
            ret5, streak, vol20 = (np.nan_to_num(term, nan=0.0) for term in (ret5, streak, vol20))
        raw = (self.return_weight * ret5 + self.streak_weight * streak / 10) / (vol20 + self.eps)
        scores: Double = np.clip(raw, 0, 1)
        return scores


GRID = tuple(
    ProxyFormula(return_weight=w_r, streak_weight=w_s, eps=eps)
    for w_r, w_s, eps in itertools.product((0.5, 1.0, 2.0), (0.05, 0.1, 0.2), (0.001, 0.01, 0.1))
)
"""The origin's 27 formulas."""


def proxy_terms(bars: Bars) -> ProxyTerms:
    """Computes the terms of every bar from bars up to its own and of its own segment.

    Args:
        bars: Checked bars, N of them.

    Returns:
        The terms, f8 (N,) each.
    """
    terms = np.full((4, len(bars)), np.nan)
    _fill(bars.open, bars.high, bars.low, bars.close, segment_heads(bars.segment), terms)
    return ProxyTerms(momentum3=terms[0], streak=terms[1], ret5=terms[2], vol20=terms[3])


def expansion_stats(bars: Bars, spans: Spans) -> pd.DataFrame:
    """Describes every expansion by the formula's terms.

    Args:
        bars: The bars.
        spans: Expansions on them.

    Returns:
        A row a span, in order: symbol, start and end (bar numbers, inclusive), length in bars, and the mean
        of each term over its bars, NaN where none of them has it.

    Raises:
        ValueError: The spans do not fit the bars.
    """
    check_spans(spans, bars)
    terms = proxy_terms(bars)
    table: dict[str, npt.NDArray[np.generic]] = {
        "symbol": np.array(bars.symbols, object)[bars.symbol[spans.start]],
        "start": spans.start,
        "end": spans.end,
        "length": spans.end - spans.start + 1,
    }
    for name in ProxyTerms.model_fields:
        term = getattr(terms, name)
        total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(term, nan=0.0))])
        count = np.concatenate([[0], np.cumsum(~np.isnan(term))])
        seen = (count[spans.end + 1] - count[spans.start]).astype(np.float64)
        seen[seen == 0] = np.nan
        table[name] = (total[spans.end + 1] - total[spans.start]) / seen
    return pd.DataFrame(table)


@numba.njit(cache=True)
def _fill(
    open_: Double,
    high: Double,
    low: Double,
    close: Double,
    heads: npt.NDArray[np.int64],
    terms: Double,
) -> None:
    for j in range(len(heads) - 1):
        head = heads[j]
        for t in range(head, heads[j + 1]):
            if t - head >= 3:
                top, bottom = high[t], low[t]
                for i in range(t - 3, t):
                    top, bottom = max(top, high[i]), min(bottom, low[i])
                if top > bottom:
                    terms[0, t] = (close[t] - close[t - 3]) / (top - bottom)
            if t - head >= 9:
                rising = 0.0
                for i in range(t - 9, t + 1):
                    rising += close[i] > open_[i]
                terms[1, t] = rising
            if t - head >= 5:
                total = 0.0
                for i in range(t - 4, t + 1):
                    total += close[i] / close[i - 1] - 1
                terms[2, t] = total
            if t - head >= 19:
                mean = 0.0
                for i in range(t - 19, t + 1):
                    mean += (high[i] - low[i]) / 20
                square = 0.0
                for i in range(t - 19, t + 1):
                    square += (high[i] - low[i] - mean) ** 2
                terms[3, t] = np.sqrt(square / 19)
