"""Reads the times that labelling tools write."""

from __future__ import annotations

import datetime
import math
import re
from decimal import Decimal

import numpy as np
import pandas as pd

from moola_data._bar_clock import RefusedError

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_DATE = re.compile(r"(\d{4})-\d\d-\d\d.*")
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.]\d{1,9})?)?)?Z?")


def read_moment(value: object, *, name: str) -> int:
    """Reads one time.

    Args:
        value: Milliseconds since 1970 as a number or as text, or a date of ISO 8601; one with a zone is
            brought to UTC, one without is taken as it stands.
        name: What the time is of, for the reason.

    Returns:
        Nanoseconds since 1970.

    Raises:
        RefusedError: The value is missing or no such time.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        raise RefusedError(f"{name} is missing")
    if isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value):
        return _within(int(Decimal(str(value)) * 1_000_000), name)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _within(int(Decimal(text) * 1_000_000), name)
        date = _DATE.fullmatch(text)
        # Outside these years nanoseconds do not fit 64 bits.
        if date and 1700 <= int(date[1]) <= 2250:
            try:
                if _PLAIN.fullmatch(text):
                    return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64))
                return int(pd.to_datetime(text, format="ISO8601", utc=True).as_unit("ns").value)
            except ValueError:
                pass
    raise RefusedError(f"{name} is no time: {value!r}")


def nanoseconds(length: datetime.timedelta | None) -> int | None:
    """Converts a length of time; None stays None.

    Raises:
        ValueError: It is negative.
    """
    if length is None:
        return None
    if length < datetime.timedelta(0):
        raise ValueError(f"tolerance: want 0 or more, got {length}")
    return int(np.timedelta64(length).astype("m8[ns]").astype(np.int64))


def _within(moment: int, name: str) -> int:
    # Twice any calendar, and far inside what 64 bits hold, so that differences do not overflow.
    if abs(moment) > 2**62:
        raise RefusedError(f"{name} is no time: {moment // 1_000_000} ms")
    return moment
