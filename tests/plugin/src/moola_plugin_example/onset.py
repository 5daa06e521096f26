"""A metric: how many of the true spans have their very first bar marked."""

from __future__ import annotations

import numpy as np

from moola_eval.forecast import Forecast
from moola_eval.score import Score, mean
from moola_eval.targets import Targets


def onset_seen(forecast: Forecast, targets: Targets) -> Score:
    """Share of true spans whose first bar is marked."""
    window, first = targets.spans.sequence, targets.spans.start
    n = len(targets.mask)
    seen = np.bincount(window, weights=forecast.mask[window, first], minlength=n)
    count = np.bincount(window, minlength=n).astype(np.float64)
    return mean("onset_seen", "share of true spans with their first bar marked", seen, count, unit="spans")
