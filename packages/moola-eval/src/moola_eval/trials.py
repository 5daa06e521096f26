"""A ledger of what was scored on which data, and the score that luck alone explains."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.special import ndtri

EULER = 0.5772156649015329


class Trial(BaseModel):
    """One configuration scored on one set of windows."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    schema_version: int = 1
    fingerprint: str
    """Of the windows, see `fingerprint`."""
    configuration: str
    """Whatever tells configurations apart, such as a hash of the resolved settings."""
    metric: str
    value: float | None
    """None where undefined."""


class Ledger:
    """Trials in a file of JSON lines; scoring one configuration twice on the same windows counts once.

    Args:
        path: The file; it need not exist.

    Raises:
        ValueError: A line of the file is no trial, with its number.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.trials: list[Trial] = []
        if self.path.exists():
            for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), start=1):
                try:
                    self.trials.append(Trial.model_validate_json(line))
                except ValidationError as error:
                    raise ValueError(f"path: want a trial, got {line[:40]!r} in row {number}") from error

    def record(self, fingerprint: str, *, configuration: str, metric: str, value: float) -> int:
        """Adds a trial, rewrites the file atomically, and returns how many there are now on these windows."""
        trial = Trial(
            fingerprint=fingerprint,
            configuration=configuration,
            metric=metric,
            value=None if math.isnan(value) else value,
        )
        self.trials.append(trial)
        text = "".join(json.dumps(t.model_dump(mode="json")) + "\n" for t in self.trials)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        finally:
            Path(name).unlink(missing_ok=True)
        return self.count(fingerprint, metric=metric)

    def count(self, fingerprint: str, *, metric: str) -> int:
        """Number of different configurations scored by the metric on these windows."""
        found = {t.configuration for t in self.trials if (t.fingerprint, t.metric) == (fingerprint, metric)}
        return len(found)


def expected_maximum(trials: int) -> float:
    """Expected largest of independent standard normal values, by the approximation for extremes.

    (1 - g) z(1 - 1/k) + g z(1 - 1/(k e)) with Euler's g (Bailey and Lopez de Prado 2014, "The deflated Sharpe
    ratio"). It is 0 for one trial.

    >>> expected_maximum(1), round(expected_maximum(100), 2)
    (0.0, 2.53)
    """
    if trials < 1:
        raise ValueError(f"trials: want 1 or more, got {trials}")
    if trials == 1:
        return 0.0
    return float((1 - EULER) * ndtri(1 - 1 / trials) + EULER * ndtri(1 - 1 / (trials * math.e)))


def deflated(value: float, *, standard_error: float, trials: int, higher_is_better: bool = True) -> float:
    """Takes from the best of several trials what the best of as many equally good ones would gain by luck.

    Args:
        value: Best value found.
        standard_error: Of one trial's value on these windows.
        trials: Number of configurations scored.
        higher_is_better: False adds instead.

    Returns:
        The deflated value. Trials are taken as independent: alike ones deserve less.
    """
    if not standard_error >= 0:
        raise ValueError(f"standard_error: want 0 or more, got {standard_error}")
    luck = standard_error * expected_maximum(trials)
    return value - luck if higher_is_better else value + luck
