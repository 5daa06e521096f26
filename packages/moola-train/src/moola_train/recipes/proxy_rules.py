"""Which rule a trial without a network follows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from moola_train.recipes.run_config import DataSection


class Rules(BaseModel):
    """Which rule, and what it may look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["move", "grid", "tree", "boosting"]
    """"move": how far the close moved in five bars, `moola_data.five_bar_move`. "grid": the best of 27
    formulas by correlation on the training windows. "tree" and "boosting" classify bars by their features and
    those of bars before."""
    data: DataSection = DataSection()
    lags: tuple[int, ...] = (0, 1, 2, 3, 5, 8, 13)
    depth: Annotated[int, Field(ge=1)] = 5
    """Of the single tree."""

    @model_validator(mode="after")
    def _bars_are_rows(self) -> Self:
        if self.data.mirror and self.method in ("move", "grid"):
            raise ValueError(f"data.mirror: want false for {self.method!r}, a formula of the bars themselves")
        return self
