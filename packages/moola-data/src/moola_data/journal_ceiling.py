"""The best possible scores on given entries of a `JournalWorld`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moola_data.journal_entry import JournalQuery
from moola_data.journal_world import JournalWorld, LineKey


@dataclass(frozen=True, slots=True)
class JournalCeiling:
    """What nobody beats in expectation on these entries, who sees text, day, currency and type only.

    Attributes:
        exact: Greatest expected share of entries whose lines are exactly right.
        f1: Greatest ratio 2 E[lines in common] / (E[lines booked] + lines proposed), which F1 of lines,
            pooled over entries, comes to for many entries.
        exact_guess: Of each entry the likeliest lines, which reach `exact`.
        f1_guess: Of each entry the lines that reach `f1`; they need not be an entry, one side may be missing.
    """

    exact: float
    f1: float
    exact_guess: tuple[LineKey, ...]
    f1_guess: tuple[LineKey, ...]


def journal_ceiling(world: JournalWorld, queries: Sequence[JournalQuery]) -> JournalCeiling:
    """Returns the ceiling on these entries, such as the test part of one split: every part has its own.

    It is the ceiling of one who knows the world's chances. One who learns from entries can at best come near
    it where texts recur (a split by time); where no text was seen before, it is still a bound, out of reach
    for words whose meaning nothing in training tells.

    Args:
        world: The world that the entries come from.
        queries: n queries or entries, whose lines are not looked at.

    Returns:
        The ceiling.

    Raises:
        ValueError: There is no query, or one that the world cannot hold.

    >>> from moola_data.journal_world import Booking, Occasion, Wording
    >>> def way(p, code):
    ...     return Booking(probability=p, debits=(("1", 1),), credits=((code, 1),))
    >>> ways = (way(0.8, "2"), way(0.2, "3"))
    >>> one = Occasion(name="tea", weight=1, wordings=(Wording(pattern="Tea"),), bookings=ways)
    >>> world = JournalWorld(occasions=(one,))
    >>> ceiling = journal_ceiling(world, world.sample(5, seed=0))
    >>> round(ceiling.exact, 6), round(ceiling.f1, 6)
    (0.8, 0.9)
    """
    if not queries:
        raise ValueError("queries: want 1 or more, got none")
    known: dict[tuple[object, ...], dict[LineKey, float]] = {}
    posteriors = []
    for query in queries:
        told = (query.text, query.date, query.currency, query.type)
        if told not in known:
            known[told] = world.posterior(query)
        posteriors.append(known[told])
    best = [next(iter(posterior.items())) for posterior in posteriors]
    f1, guesses = best_f1(posteriors)
    exact = sum(chance for _, chance in best) / len(best)
    return JournalCeiling(exact, f1, tuple(key for key, _ in best), guesses)


def best_f1(posteriors: Sequence[Mapping[LineKey, float]]) -> tuple[float, tuple[LineKey, ...]]:
    """Returns the greatest ratio of expected counts and the guesses that reach it.

    A line's k-th copy is worth proposing where the chance of k or more copies is at least half the ratio
    itself (Dinkelbach 1967): the ratio rises to its greatest value in a few rounds.
    """
    counted = [at_least(posterior) for posterior in posteriors]
    booked = sum(sum(chances.values()) for chances in counted)
    ratio, chosen = 0.0, [list(chances) for chances in counted]
    while True:
        common = sum(chances[line] for chances, row in zip(counted, chosen, strict=True) for line in row)
        better = 2 * common / (booked + sum(map(len, chosen)))
        if better <= ratio + 1e-12:
            break
        ratio = better
        chosen = [[line for line, chance in chances.items() if 2 * chance >= ratio] for chances in counted]
    return ratio, tuple(tuple(sorted(line for line, _ in row)) for row in chosen)


def at_least(posterior: Mapping[LineKey, float]) -> dict[tuple[tuple[str, int], int], float]:
    """Returns the chance of k or more copies of a line, by (line, k), k from 1."""
    chances: dict[tuple[tuple[str, int], int], float] = {}
    for key, chance in posterior.items():
        for line, copies in Counter(key).items():
            for k in range(1, copies + 1):
                chances[line, k] = chances.get((line, k), 0.0) + chance
    return chances
