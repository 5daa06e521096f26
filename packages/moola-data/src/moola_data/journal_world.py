"""A world in which entries are booked by known chances, so that the best possible guess is known too.

An occasion (a purchase by card, the payroll) is drawn, then independently its day, its words and its booking.
The chance of every booking given text, day, currency and type is summed exactly, neither sampled nor fitted.
"""

from __future__ import annotations

import datetime
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from moola_data.journal_entry import CREDIT, DEBIT, JournalEntry, JournalLine, JournalQuery
from moola_data.journal_text import normalise_text
from moola_data.journal_typo import slips

LineKey = tuple[tuple[str, int], ...]
"""The lines of an entry without amounts: sorted pairs of code and side, repeats as often as they stand."""
Suffix = Literal["none", "reference", "period"]
ENDING = re.compile(r"^(.*\S) (?:(#\d{5})|(\d\d/\d{4}))$")


class Booking(BaseModel):
    """One way of booking an occasion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(gt=0, le=1)
    """Given the occasion."""
    debits: tuple[tuple[str, float], ...] = Field(min_length=1)
    """Code of the account and share of the whole amount; shares of a side add up to 1."""
    credits: tuple[tuple[str, float], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _both_sides_are_the_whole(self) -> Self:
        for name in ("debits", "credits"):
            shares = [share for _, share in getattr(self, name)]
            if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
                raise ValueError(f"{name}: want shares above 0 that add up to 1, got {shares}")
        return self

    @property
    def key(self) -> LineKey:
        """The lines without amounts."""
        pairs = [(code, DEBIT) for code, _ in self.debits] + [(code, CREDIT) for code, _ in self.credits]
        return tuple(sorted(pairs))


class Wording(BaseModel):
    """One way of writing an occasion down, such as "Invoice {party}" with a reference at the end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    """{party} stands for the other party. No digits: those are the suffix's."""
    weight: float = Field(default=1.0, gt=0)
    suffix: Suffix = "none"
    """What follows: nothing, "#" and 5 digits that say nothing, or the month as 03/2024."""


class Occasion(BaseModel):
    """Something that is booked again and again: how often, when, in which words, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weight: float = Field(gt=0)
    wordings: tuple[Wording, ...] = Field(min_length=1)
    parties: tuple[str, ...] = ("",)
    """Party number k, from 0, has a weight of 1 / (k + 1): a few recur, many are rare."""
    bookings: tuple[Booking, ...] = Field(min_length=1)
    type: str = ""
    currency: str = "GBP"
    months: tuple[int, ...] = tuple(range(1, 13))
    days: tuple[int, int] = (1, 31)
    """First and last day of the month, both included."""

    @model_validator(mode="after")
    def _bookings_are_all_there_are(self) -> Self:
        whole = sum(booking.probability for booking in self.bookings)
        if abs(whole - 1) > 1e-9:
            raise ValueError(f"bookings: want probabilities that add up to 1, got {whole} for {self.name!r}")
        for wording in self.wordings:
            for party in self.parties:
                core = core_text(wording, party)
                if len(core) < 2 or any(character.isdigit() for character in core):
                    raise ValueError(f"wordings: want words without digits, got {core!r} for {self.name!r}")
        return self


class JournalWorld(BaseModel):
    """Occasions and their chances between two days.

    >>> rent = Occasion(
    ...     name="rent", weight=1, wordings=(Wording(pattern="Rent"),),
    ...     bookings=(Booking(probability=0.75, debits=(("7100", 1),), credits=(("1200", 1),)),
    ...               Booking(probability=0.25, debits=(("7100", 1),), credits=(("2100", 1),))))
    >>> world = JournalWorld(occasions=(rent,), slip=0.1)
    >>> world.posterior(world.sample(1, seed=0)[0])[(("1200", 1), ("7100", 0))]
    0.75
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    occasions: tuple[Occasion, ...] = Field(min_length=1)
    first: datetime.date = datetime.date(2022, 1, 1)
    last: datetime.date = datetime.date(2024, 12, 31)
    slip: float = Field(default=0.05, ge=0, lt=1)
    """Chance that the words of an entry, not its suffix, hold one slip; see `moola_data.journal_typo`."""
    untyped: float = Field(default=0.3, ge=0, le=1)
    """Chance that the type was not noted."""

    @model_validator(mode="after")
    def _every_occasion_has_a_day(self) -> Self:
        for occasion, days in zip(self.occasions, self._days, strict=True):
            if not len(days):
                raise ValueError(
                    f"occasions: want a day between {self.first} and {self.last}, "
                    f"got none for {occasion.name!r}"
                )
        return self

    @cached_property
    def _days(self) -> list[list[datetime.date]]:
        """The days on which each occasion may happen, all equally likely."""
        count = (self.last - self.first).days + 1
        span = [self.first + datetime.timedelta(days=k) for k in range(count)]
        return [
            [day for day in span if day.month in o.months and o.days[0] <= day.day <= o.days[1]]
            for o in self.occasions
        ]

    @cached_property
    def _chance(self) -> list[float]:
        whole = sum(occasion.weight for occasion in self.occasions)
        return [occasion.weight / whole for occasion in self.occasions]

    @cached_property
    def _ways(self) -> list[list[tuple[Suffix, str, float]]]:
        return [cores(occasion) for occasion in self.occasions]

    @cached_property
    def _texts(self) -> Mapping[tuple[Suffix, str], Mapping[int, float]]:
        """Chance of every text that can be written, slips included, by occasion."""
        table: dict[tuple[Suffix, str], dict[int, float]] = {}

        def add(suffix: Suffix, text: str, number: int, chance: float) -> None:
            chances = table.setdefault((suffix, text), {})
            chances[number] = chances.get(number, 0.0) + chance

        slipped: dict[str, Counter[str]] = {}
        for number, ways in enumerate(self._ways):
            for suffix, core, chance in ways:
                if core not in slipped:
                    slipped[core] = Counter(slips(core)) if self.slip else Counter()
                made = slipped[core]
                add(suffix, core, number, chance * (1 - self.slip) if made else chance)
                for text, times in made.items():
                    add(suffix, text, number, chance * self.slip * times / made.total())
        return table

    def sample(self, n: int, *, seed: int) -> tuple[JournalEntry, ...]:
        """Draws n entries in the order of their days.

        Args:
            n: Entries.
            seed: Seed of everything that is drawn.

        Returns:
            The entries, with ids "0", "1", ….
        """
        return self.sample_with_sources(n, seed=seed)[0]

    def sample_with_sources(self, n: int, *, seed: int) -> tuple[tuple[JournalEntry, ...], tuple[str, ...]]:
        """Draws n entries and tells what each of their texts was meant to be: no slip, no suffix."""
        rng = np.random.default_rng(seed)
        which = rng.choice(len(self.occasions), size=n, p=self._chance)
        at = [rng.integers(len(self._days[number])) for number in which]
        days = np.array([self._days[number][i] for number, i in zip(which, at, strict=True)], dtype="M8[D]")
        order = np.argsort(days, kind="stable")
        drawn = [self._entry(i, int(which[row]), days[row].item(), rng) for i, row in enumerate(order)]
        return tuple(entry for entry, _ in drawn), tuple(source for _, source in drawn)

    def _entry(
        self, i: int, number: int, day: datetime.date, rng: np.random.Generator
    ) -> tuple[JournalEntry, str]:
        occasion = self.occasions[number]
        ways = self._ways[number]
        suffix, source, _ = ways[_draw([chance for _, _, chance in ways], rng)]
        made = slips(source) if rng.random() < self.slip else []
        text = made[rng.integers(len(made))] if made else source
        if suffix == "reference":
            text += f" #{rng.integers(10_000, 100_000)}"
        elif suffix == "period":
            text += f" {day:%m/%Y}"
        booking = occasion.bookings[_draw([way.probability for way in occasion.bookings], rng)]
        entry = JournalEntry(
            id=str(i),
            text=text,
            date=day,
            currency=occasion.currency,
            type="" if rng.random() < self.untyped else occasion.type,
            lines=tuple(amounts(booking, rng)),
        )
        return entry, source

    def posterior(self, query: JournalQuery) -> dict[LineKey, float]:
        """Returns the chance of every booking, given text, day, currency and type.

        Args:
            query: What is known; its text is normalised here. The day may be missing, the type too.

        Returns:
            Chances by lines, the likeliest first; they add up to 1.

        Raises:
            ValueError: Nothing in this world is written so, on such a day, in that currency or of that type.
        """
        suffix, core, period = ending(normalise_text(query.text))
        chances: dict[LineKey, float] = {}
        for number, likely in self._texts.get((suffix, core), {}).items():
            occasion = self.occasions[number]
            joint = self._chance[number] * likely * self._day_chance(number, query.date, period)
            if query.currency != occasion.currency:
                continue
            noted = (1 - self.untyped) * (query.type == occasion.type)
            joint *= noted + self.untyped * (not query.type)
            for booking in occasion.bookings:
                chances[booking.key] = chances.get(booking.key, 0.0) + float(joint) * booking.probability
        whole = sum(chances.values())
        if whole <= 0:
            raise ValueError(f"query: want an entry that this world can hold, got {query!r}")
        ranked = sorted(chances.items(), key=lambda pair: (-pair[1], pair[0]))
        return {key: chance / whole for key, chance in ranked if chance > 0}

    def _day_chance(self, number: int, day: datetime.date | None, period: str) -> float:
        days = self._days[number]
        if day is None:
            fitting = [each for each in days if not period or period == f"{each:%m/%Y}"]
            return len(fitting) / len(days)
        if period and period != f"{day:%m/%Y}":
            return 0.0
        at = bisect_left(days, day)
        return 1 / len(days) if at < len(days) and days[at] == day else 0.0


def _draw(chances: list[float], rng: np.random.Generator) -> int:
    """Draws a place by chances that add up to 1; rng.choice is ten times as slow for a few."""
    return min(int(np.searchsorted(np.cumsum(chances), rng.random(), side="right")), len(chances) - 1)


def core_text(wording: Wording, party: str) -> str:
    """Returns the words, normalised, without slip and suffix."""
    return normalise_text(wording.pattern.replace("{party}", party))


def cores(occasion: Occasion) -> list[tuple[Suffix, str, float]]:
    """Lists suffix, words and chance of every way of writing an occasion down; chances add up to 1."""
    parties = 1 / np.arange(1, len(occasion.parties) + 1)
    parties /= parties.sum()
    whole = sum(wording.weight for wording in occasion.wordings)
    return [
        (wording.suffix, core_text(wording, party), float(wording.weight / whole * chance))
        for wording in occasion.wordings
        for party, chance in zip(occasion.parties, parties, strict=True)
    ]


def ending(text: str) -> tuple[Suffix, str, str]:
    """Takes a text apart: kind of suffix, words, and the period, "" where there is none."""
    found = ENDING.match(text)
    if found is None:
        return "none", text, ""
    words, _, period = found.groups()
    return ("period", words, period) if period else ("reference", words, "")


def amounts(booking: Booking, rng: np.random.Generator) -> list[JournalLine]:
    """Draws amounts in hundredths, in the booking's shares; both sides add up to the same."""
    total = max(round(float(np.exp(rng.normal(5.5, 1.2))) * 100), 1000)
    lines = []
    for side, shares in ((DEBIT, booking.debits), (CREDIT, booking.credits)):
        ends = np.round(total * np.cumsum([share for _, share in shares])).astype(int)
        for (code, _), amount in zip(shares, np.diff(ends, prepend=0), strict=True):
            lines.append(
                JournalLine.model_validate({"account": code, "side": side, "amount": int(amount) / 100})
            )
    return lines
