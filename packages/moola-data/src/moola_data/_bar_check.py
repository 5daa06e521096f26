"""One compiled pass over bars: how many break a rule."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Symbol = npt.NDArray[np.int32]


def _column(dtype: numba.types.Type) -> numba.types.Array:
    return numba.types.Array(dtype, 1, "C", readonly=True)  # also takes arrays that can be written to


_PRICE = _column(numba.float64)
SIGNATURE = numba.int64(_column(numba.int64), _PRICE, _PRICE, _PRICE, _PRICE, _column(numba.int32))


@numba.njit(SIGNATURE, cache=True, error_model="numpy")
def count_bad(time: Int, open_: Float, high: Float, low: Float, close: Float, symbol: Symbol) -> int:
    """Counts the bars that break any rule of `moola_data.violations`.

    Low > 0, low <= open, close <= high and high < inf imply every price rule; a comparison with NaN is false.
    NaT is the least integer. Symbols are empty where there is one.
    """
    bad = 0
    several = len(symbol) > 0
    for i in range(len(time)):
        price = (low[i] > 0) & (low[i] <= open_[i]) & (low[i] <= close[i])
        price &= (open_[i] <= high[i]) & (close[i] <= high[i]) & (high[i] < np.inf)
        after = i == 0 or time[i] > time[i - 1] or (several and symbol[i] != symbol[i - 1])
        bad += not (price & after & (time[i] != np.iinfo(np.int64).min))
    return bad


@numba.njit(
    numba.boolean(_column(numba.int64), numba.int64, numba.int64, numba.int64, numba.int64[::1]), cache=True
)
def scale_ticks(ticks: Int, first: int, last: int, step: int, out: Int) -> bool:
    """Writes ticks times `step` into `out` and says whether all of them lie in first..last."""
    inside = True
    for i in range(len(ticks)):
        inside &= (ticks[i] >= first) & (ticks[i] < last)
        out[i] = ticks[i] * step
    return inside
