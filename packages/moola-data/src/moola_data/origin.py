"""The feature set "origin": twelve relative features of a bar, as first used, defects included.

Kept faithfully so that claims made with it can be tested again. Its zigzag turns on almost every bar, because
the candidate of the wick rule may be the bar itself; "no swing yet" and "zero" share a code; and it starts
cold at the head of every segment. `moola_data.feature_audit` measures all three; "jade" has none of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from moola_data._fuse import part, row_writer
from moola_data.features import Feature, FeatureSet, Mirror

Float = npt.NDArray[np.float64]

EPS = 1e-6  # of price, and absolute: for prices of that size the features depend on the unit
ATR_BARS = 10.0
SHRINK = 2 / 21  # weight of the newest range in the moving average over 20 bars
LOOKBACK = 5.0  # oldest candidate, in bars, that the wick rule may confirm
PER_NORM = 1 / 105


class Bar(NamedTuple):
    """What the features of one bar are made of. Swing prices mean nothing before the first swing."""

    open: float
    high: float
    low: float
    close: float
    per_range: float  # 1 / max(high - low, EPS)
    range_z: float
    per_atr: float  # 1 / ATR, 1e8 where ATR is 0
    leg: float  # +1 up, -1 down, 0 before the first true range above 0
    has_high: bool
    swing_high: float
    since_high: float  # bars, 0 before the first swing high
    has_low: bool
    swing_low: float
    since_low: float


@part
def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


# Checked bars hold low <= open, close <= high, so the shares of the range need no clipping.


@part
def _open_norm(s: Bar) -> float:
    return (s.open - s.low) * s.per_range


@part
def _close_norm(s: Bar) -> float:
    return (s.close - s.low) * s.per_range


@part
def _body_pct(s: Bar) -> float:
    return (s.close - s.open) * s.per_range


@part
def _upper_wick_pct(s: Bar) -> float:
    return (s.high - max(s.open, s.close)) * s.per_range


@part
def _lower_wick_pct(s: Bar) -> float:
    return (min(s.open, s.close) - s.low) * s.per_range


@part
def _range_z(s: Bar) -> float:
    return s.range_z


@part
def _dist_to_prev_sh(s: Bar) -> float:
    return _clip((s.swing_high - s.close) * s.per_atr, -3.0, 3.0) if s.has_high else 0.0


@part
def _dist_to_prev_sl(s: Bar) -> float:
    return _clip((s.close - s.swing_low) * s.per_atr, -3.0, 3.0) if s.has_low else 0.0


@part
def _bars_since_sh_norm(s: Bar) -> float:
    return min(s.since_high * PER_NORM, 3.0)


@part
def _bars_since_sl_norm(s: Bar) -> float:
    return min(s.since_low * PER_NORM, 3.0)


@part
def _expansion_proxy(s: Bar) -> float:
    return _clip(s.range_z * s.leg * _body_pct(s), -2.0, 2.0)


@part
def _consol_proxy(s: Bar) -> float:
    since = (_bars_since_sh_norm(s) + _bars_since_sl_norm(s)) * 0.5
    return (1 - s.range_z * (1 / 3)) * (1 - abs(_body_pct(s))) * since


COLUMNS = (
    Feature("open_norm", "(open - low) / R, R = max(high - low, 1e-6)", 0, 1, "bar range", 0,
            Mirror("open_norm", -1, 1), _open_norm),
    Feature("close_norm", "(close - low) / R", 0, 1, "bar range", 0,
            Mirror("close_norm", -1, 1), _close_norm),
    Feature("body_pct", "(close - open) / R", -1, 1, "bar range", 0, Mirror("body_pct", -1), _body_pct),
    Feature("upper_wick_pct", "(high - max(open, close)) / R", 0, 1, "bar range", 0,
            Mirror("lower_wick_pct"), _upper_wick_pct),
    Feature("lower_wick_pct", "(min(open, close) - low) / R", 0, 1, "bar range", 0,
            Mirror("upper_wick_pct"), _lower_wick_pct),
    Feature("range_z", "(high - low) / EMA20 of it, this bar included", 0, 3, "1", 80,
            Mirror("range_z"), _range_z),
    Feature("dist_to_prev_SH", "(last swing high - close) / ATR10; 0 before the first", -3, 3, "ATR", 40,
            Mirror("dist_to_prev_SL"), _dist_to_prev_sh),
    Feature("dist_to_prev_SL", "(close - last swing low) / ATR10; 0 before the first", -3, 3, "ATR", 40,
            Mirror("dist_to_prev_SH"), _dist_to_prev_sl),
    Feature("bars_since_SH_norm", "bars since the last swing high / 105; 0 before the first", 0, 3,
            "105 bars", 40, Mirror("bars_since_SL_norm"), _bars_since_sh_norm, lasting=True),
    Feature("bars_since_SL_norm", "bars since the last swing low / 105; 0 before the first", 0, 3,
            "105 bars", 40, Mirror("bars_since_SH_norm"), _bars_since_sl_norm, lasting=True),
    Feature("expansion_proxy", "range_z * leg * body_pct, leg = +1 up, -1 down, 0 unknown", -2, 2, "1", 80,
            Mirror("expansion_proxy"), _expansion_proxy),
    Feature("consol_proxy", "(1 - range_z/3) * (1 - |body_pct|) * mean of the two bars_since", 0, 3, "1", 80,
            Mirror("consol_proxy"), _consol_proxy),
)  # fmt: skip

_write = row_writer([feature.function for feature in COLUMNS])


@numba.njit(cache=True, error_model="numpy")
def fill(
    open_: Float, high: Float, low: Float, close: Float, heads: npt.NDArray[np.int64], out: Float
) -> None:
    """Writes the features of every segment into `out`; see `FeatureSet.fill`.

    The swing detector works in coordinates where the current leg goes up (prices times `leg`). An extreme is
    confirmed by the close at 1.2 ATR from it or, if that fails, by the wick at 0.5 ATR from the candidate, at
    most 5 bars old. Comparisons are multiplied out (ATR = tr_sum / count), so that prices on a binary grid
    are compared exactly and equality confirms.
    """
    # Sums of the last 2 and 4 true ranges, 16 bars of each: the last 10 are summed in an order that does not
    # depend on where the segment began, and nothing drifts.
    pair, four = np.empty(16), np.empty(16)
    for segment in range(len(heads) - 1):
        head, tail = heads[segment], heads[segment + 1]
        opens, highs, lows, closes = open_[head:tail], high[head:tail], low[head:tail], close[head:tail]
        rows = out[head:tail]
        pair[:], four[:] = 0.0, 0.0
        range_ema = highs[0] - lows[0]
        before_tr, before_close = 0.0, closes[0]
        leg, extreme, extreme_at, candidate, candidate_at = 0.0, 0.0, 0.0, -np.inf, 0.0
        has_high, has_low, swing_high, swing_low, high_at, low_at = False, False, 0.0, 0.0, 0.0, 0.0
        at = -1.0  # the bar's number as a float: it is compared and divided, never an index
        for i in range(len(highs)):
            at += 1.0
            h, l, c = highs[i], lows[i], closes[i]  # noqa: E741
            range_ema = (1 - SHRINK) * range_ema + SHRINK * (h - l)
            tr = (max(h, before_close) - min(l, before_close)) * min(at, 1.0)  # the first bar records none
            two = tr + before_tr
            fours = two + pair[(i - 2) & 15]
            tr_sum = fours + four[(i - 4) & 15] + pair[(i - 8) & 15]
            pair[i & 15], four[i & 15] = two, fours
            before_tr, before_close = tr, c
            count = min(at, ATR_BARS)
            if leg != 0.0:
                top = h if leg > 0 else -l
                bottom = l if leg > 0 else -h
                extreme_at = at if top > extreme else extreme_at
                extreme = max(extreme, top)
                candidate_at = at if top > candidate else candidate_at
                candidate = max(candidate, top)
                by_close = 5 * count * (extreme - leg * c) >= 6 * tr_sum
                by_wick = (at - candidate_at <= LOOKBACK) & (2 * count * (candidate - bottom) >= tr_sum)
                if (tr_sum > 0) & (by_close | by_wick):
                    up = leg > 0
                    swing_high = extreme if up else swing_high
                    high_at = extreme_at if up else high_at
                    swing_low = swing_low if up else -extreme
                    low_at = low_at if up else extreme_at
                    has_high |= up
                    has_low |= not up
                    leg, extreme, extreme_at, candidate, candidate_at = -leg, -bottom, at, -bottom, at
            elif tr_sum > 0:
                leg, extreme, extreme_at, candidate, candidate_at = 1.0, c, at, -np.inf, 0.0
            bar = Bar(
                open=opens[i],
                high=h,
                low=l,
                close=c,
                per_range=1 / max(h - l, EPS),
                range_z=min((h - l) / max(range_ema, EPS), 3.0),
                per_atr=count / tr_sum if tr_sum > 0 else 1e8,
                leg=leg,
                has_high=has_high,
                swing_high=swing_high,
                since_high=at - high_at if has_high else 0.0,
                has_low=has_low,
                swing_low=swing_low,
                since_low=at - low_at if has_low else 0.0,
            )
            _write(bar, rows, i)


FEATURES = FeatureSet("origin", COLUMNS, fill, starts_cold=True)  # so the labelled windows were computed
