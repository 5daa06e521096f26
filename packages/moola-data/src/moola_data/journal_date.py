"""The day of an entry as numbers: one function, for training and for use."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DATE_FEATURES = (
    "year",
    "month_sin",
    "month_cos",
    "day_sin",
    "day_cos",
    "weekday_sin",
    "weekday_cos",
    "has_date",
)


def date_features(dates: Sequence[datetime.date | None]) -> npt.NDArray[np.float32]:
    """Returns numbers about days, all of the size of 1, so that a day more or less never dominates.

    Args:
        dates: n days; None where the day is not known.

    Returns:
        (n, 8) float32 in the order of `DATE_FEATURES`: (year - 2020) / 10; sine and cosine of the month
        (1..12 of 12), the day (1..31 of 31) and the weekday (Monday 0, of 7) as angles; 1. Without a day: 0s.

    >>> date_features([datetime.date(2024, 6, 15), None]).round(4).tolist()[0][:5]
    [0.4000000059604645, 0.0, -1.0, 0.10119999945163727, -0.9948999881744385]
    """
    numbers = np.array(
        [(0, 0, 0, 0, 0) if d is None else (1, d.year, d.month, d.day, d.weekday()) for d in dates],
        dtype=np.float64,
    ).reshape(-1, 5)
    known, year = numbers[:, 0], (numbers[:, 1] - 2020) / 10
    angles = 2 * np.pi * numbers[:, 2:] / np.array([12.0, 31.0, 7.0])
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(-1, 6)
    columns = np.column_stack([year, waves, np.ones(len(known))]) * known[:, None]
    return columns.astype(np.float32)
