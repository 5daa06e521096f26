"""The parameters of the synthetic market: what its hidden regimes are and how its bars look.

A world is a *choice*, written down: nothing in it is fitted to a market. Vary it with
``world.model_copy(update={...})`` or by building another one.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Bars = Annotated[int, Field(ge=1)]


class World(BaseModel):
    """Regimes and bars of a synthetic market. Lengths are in bars, both ends included and equally likely.

    From quiet *background* (a geometric number of bars) the market goes into a *consolidation*, a *surge* or
    a *burst*. A consolidation ends in an *expansion* (the label), in a false *breakout* with a *reversal*, or
    in background. A surge drifts like an expansion but nothing precedes it; a burst is wide and goes nowhere.

    >>> World().snr, World(signal=0).signal
    (1.25, 0)
    >>> World().model_copy(update={"snr": 2.0}).snr
    2.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snr: Annotated[float, Field(ge=0)] = 1.25
    """Multiplies every drift. It moves the best possible score, from .6 at 0.5 to .9 at 2."""
    signal: Annotated[int, Field(ge=0, le=1)] = 1
    """With 0 no regime changes the bars: labels are independent of everything that can be seen."""

    drift_levels: tuple[Positive, ...] = (0.8, 0.92, 1.04)
    """Drift per bar of expansions and surges at snr 1, in standard deviations of a body; a level each."""
    expansion_bars: tuple[Bars, Bars] = (5, 15)
    consolidation_bars: tuple[Bars, Bars] = (12, 30)
    burst_bars: tuple[Bars, Bars] = (5, 15)
    breakout_bars: tuple[Bars, Bars] = (2, 3)
    reversal_bars: tuple[Bars, Bars] = (2, 4)
    retracement_bars: tuple[Bars, Bars] = (8, 20)
    """Of `one_expansion` only, where an expansion may follow a retracement."""
    retracement_drift: Positive = 0.4
    """Drift of a retracement at snr 1, against the expansion that follows."""
    background_bars: Annotated[float, Field(gt=1)] = 29.0
    """Mean number of background bars between two other regimes."""
    consolidation_range: Positive = 0.6
    """Factor on gap, body noise and wicks in a consolidation."""
    burst_range: Positive = 1.8
    """The same factor in a burst."""

    consolidation_share: Share = 0.5
    """How often background ends in a consolidation; else in a surge or a burst."""
    surge_share: Share = 0.25
    """How often background ends in a surge; what is left are bursts."""
    expansion_after_consolidation: Share = 0.7
    breakout_after_consolidation: Share = 0.2
    """What is left of consolidations fades into background."""

    volatility: Positive = 3e-4
    """Standard deviation of a background body (log close/open) at rest."""
    persistence: Annotated[float, Field(ge=0, lt=1)] = 0.97
    """How much of the log volatility's distance from rest survives a bar."""
    reaction: Annotated[float, Field(ge=0)] = 0.03
    """How strongly log volatility answers to the last observed body."""
    bounce: Annotated[float, Field(ge=0)] = 0.1
    """Share of the last standardised body that the next one gives back."""
    bounce_clip: Positive = 2.0
    """Largest standardised body that bounces."""
    body_dof: Annotated[float, Field(gt=2)] = 4.0
    """Degrees of freedom of the bodies' Student t (scaled to variance 1)."""
    gap_scale: Positive = 0.1
    """Scale of the Laplace gap between a close and the next open, in volatilities."""
    wick_shape: Positive = 0.5
    """Shape of the Gamma wicks."""
    wick_scale: Positive = 0.8
    """Scale of the Gamma wicks, in volatilities."""

    price: Positive = 15_000.0
    """Every stretch opens here, up to its first gap."""
    tick: Annotated[float, Field(ge=0)] = 0.0
    """Prices are rounded to multiples of it; 0 leaves them alone."""

    def with_changes(self, *, snr: float | None, signal: int | None) -> World:
        """The same world with another `snr` or `signal`, checked again; None leaves one as it is."""
        changed = {
            "snr": self.snr if snr is None else snr,
            "signal": self.signal if signal is None else signal,
        }
        return World.model_validate({**self.model_dump(), **changed})

    @model_validator(mode="after")
    def _lengths_and_shares_fit(self) -> Self:
        for name in ("expansion", "consolidation", "burst", "breakout", "reversal", "retracement"):
            low, high = getattr(self, f"{name}_bars")
            if low > high:
                raise ValueError(f"{name}_bars: want (least, most), got ({low}, {high})")
        for first, second in (
            ("consolidation_share", "surge_share"),
            ("expansion_after_consolidation", "breakout_after_consolidation"),
        ):
            total = getattr(self, first) + getattr(self, second)
            if total > 1 + 1e-12:
                raise ValueError(f"{second}: want at most 1 together with {first}, got {total:g}")
        if not self.drift_levels:
            raise ValueError("drift_levels: want at least one level, got ()")
        return self
