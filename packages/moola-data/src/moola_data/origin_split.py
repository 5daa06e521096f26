"""Parts of windows that have no times: by underlying window, or row by row as the brief did."""

from __future__ import annotations

from typing import Literal

import numpy as np

from moola_data.leaky_random_split import LeakyRandomSplit
from moola_data.origin_parquet import OriginWindows
from moola_data.window_split import WindowSplit


def split_origin(
    windows: OriginWindows,
    *,
    by: Literal["group", "row"] = "group",
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 42,
) -> WindowSplit:
    """Draws train, inner and test at random.

    Args:
        windows: Windows of the brief's labelled Parquet.
        by: "group": an underlying window, with all its rows and shifted copies, goes to one part. "row":
            every row for itself, which leaks and warns; the draw is that of scikit-learn's
            ``train_test_split``, and the inner share must be 0.
        fractions: Shares of train, inner and test.
        seed: Seed of the draw.

    Returns:
        The windows, in their order, with their parts.

    Raises:
        ValueError: The fractions do not fit, or a part comes out empty.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions: want three numbers of sum 1, got {fractions}")
    part = np.zeros(len(windows), np.int8)
    if by == "row":
        if fractions[1]:
            raise ValueError(f"fractions: want no inner part by row, got {fractions[1]}")
        leaky = LeakyRandomSplit(
            # Rows of one underlying window share bars whatever their shift: one interval a group.
            prediction_times=windows.group,
            evaluation_times=windows.group,
            test_size=fractions[2],
            seed=seed,
        )
        ((_, test),) = leaky.split()
        part[test] = 2
    else:
        groups = np.unique(windows.group)
        drawn = np.random.default_rng(seed).permutation(groups)
        bound = np.rint(np.cumsum(fractions) * len(groups)).astype(np.int64)
        for number, name in ((1, "inner"), (2, "test")):
            mine = np.isin(windows.group, drawn[bound[number - 1] : bound[number]])
            part[mine] = number
            if fractions[number] and not mine.any():
                raise ValueError(
                    f"windows: want at least 1 of {name}, got 0: there are {len(groups)} underlying windows"
                )
        if not (part == 0).any():
            raise ValueError(
                f"windows: want at least 1 of train, got 0: there are {len(groups)} underlying windows"
            )
    return WindowSplit(
        starts=windows.starts, length=windows.length, group=windows.group, split=part, purged={}
    )
