"""A trial of whichever kind it is told to be, for studies that compare a network with what is none."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from moola_train.recipes.study import FUNCTIONS
from moola_train.sweep_worker import find_function

MIXED = "moola_train.recipes.study_mixed:mixed_trial"


def mixed_trial(*, function: str, **parameters: JsonValue) -> dict[str, JsonValue]:
    """Runs one trial.

    Args:
        function: Its kind, one of `moola_train.recipes.study.FUNCTIONS`.
        parameters: Of that trial.

    Returns:
        Its numbers by name.
    """
    return cast("dict[str, JsonValue]", find_function(FUNCTIONS[function])(**parameters))
