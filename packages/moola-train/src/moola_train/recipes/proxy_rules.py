"""Which rule a trial without a network follows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from moola_train.recipes.run_config import DataSection


class Rules(BaseModel):
    """Which rule, and what it may look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["grid", "tree", "boosting"]
    """"grid": the best of 27 formulas by correlation on the training windows. "tree" and "boosting" classify
    bars by their features and those of bars before."""
    data: DataSection = DataSection()
    lags: tuple[int, ...] = (0, 1, 2, 3, 5, 8, 13)
    depth: Annotated[int, Field(ge=1)] = 5
    """Of the single tree."""
