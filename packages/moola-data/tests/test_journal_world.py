import datetime
import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.catalogue import Account, Catalogue
from moola_data.journal_ceiling import best_f1, journal_ceiling
from moola_data.journal_entry import JournalQuery
from moola_data.journal_set import JournalEncoding, encode_journal
from moola_data.journal_split import split_by_text, split_by_time
from moola_data.journal_typo import slips
from moola_data.journal_world import Booking, JournalWorld, Occasion, Wording
from moola_data.uk_journal import uk_journal
from moola_data.uk_occasions import booking_of, uk_occasions

quick = settings(deadline=None, max_examples=25)


def one_slip_apart(a, b):
    """Whether b is a with one letter swapped with the next, doubled or left out, by trying every place."""
    ways = 0
    for i in range(len(a)):
        if not a[i].isalpha():
            continue
        ways += a[: i + 1] + a[i] + a[i + 1 :] == b
        ways += a[:i] + a[i + 1 :] == b
        if i + 1 < len(a) and a[i + 1].isalpha() and a[i] != a[i + 1]:
            ways += a[:i] + a[i + 1] + a[i] + a[i + 2 :] == b
    return ways


@quick
@given(st.text("abC1", min_size=1, max_size=6))
def test_slips_are_all_texts_one_slip_away(text):
    made = Counter(slips(text))
    assert all(one_slip_apart(text, other) == count for other, count in made.items())
    assert made.total() <= 3 * len(text)
    assert made.total() >= 2 * sum(c.isalpha() for c in text)


def way(p, debit, credit):
    return Booking(probability=p, debits=((debit, 1.0),), credits=((credit, 1.0),))


SMALL = JournalWorld(
    first=datetime.date(2024, 1, 27),
    last=datetime.date(2024, 2, 3),
    slip=0.3,
    untyped=0.4,
    occasions=(
        Occasion(
            name="accrual",
            weight=2,
            wordings=(Wording(pattern="Gas {party}"), Wording(pattern="gsa b", weight=2)),
            parties=("a", "b"),
            bookings=(way(0.7, "1", "2"), way(0.3, "1", "3")),
            type="x",
            days=(28, 31),
        ),
        Occasion(
            name="reversal",
            weight=1,
            wordings=(Wording(pattern="Gas {party}"),),
            parties=("b", "c"),
            bookings=(way(1, "2", "1"),),
            type="y",
            days=(1, 29),
        ),
        Occasion(
            name="gas",
            weight=1.5,
            wordings=(Wording(pattern="Gas b"), Wording(pattern="Gas b", suffix="period")),
            bookings=(way(0.5, "1", "2"), way(0.5, "3", "1")),
            type="x",
        ),
        Occasion(
            name="euros",
            weight=1,
            wordings=(Wording(pattern="Gas b"),),
            bookings=(way(1, "3", "2"),),
            currency="EUR",
        ),
    ),
)


def everything(world):
    """The chance of each (day, text, currency, type, lines), by walking through all that can happen."""
    table = defaultdict(float)
    days = [world.first + datetime.timedelta(days=k) for k in range((world.last - world.first).days + 1)]
    total = sum(o.weight for o in world.occasions)
    for o in world.occasions:
        allowed = [d for d in days if d.month in o.months and o.days[0] <= d.day <= o.days[1]]
        harmonic = sum(1 / (k + 1) for k in range(len(o.parties)))
        words = sum(w.weight for w in o.wordings)
        types = [(o.type, 1 - world.untyped), ("", world.untyped)]
        for day, w, (k, party), booking, (kind, noted) in itertools.product(
            allowed, o.wordings, enumerate(o.parties), o.bookings, types
        ):
            chance = o.weight / total / len(allowed) * w.weight / words / (k + 1) / harmonic
            chance *= booking.probability * noted
            core = w.pattern.replace("{party}", party)
            end = day.strftime(" %m/%Y") if w.suffix == "period" else ""
            lines = tuple(sorted([(c, 0) for c, _ in booking.debits] + [(c, 1) for c, _ in booking.credits]))
            made = slips(core)
            table[day, core + end, o.currency, kind, lines] += chance * (1 - world.slip)
            for text in made:
                table[day, text + end, o.currency, kind, lines] += chance * world.slip / len(made)
    return table


def by_query(world):
    found = defaultdict(dict)
    for (day, text, currency, kind, lines), chance in everything(world).items():
        found[day, text, currency, kind][lines] = chance
    return found


def query(day, text, currency, kind):
    return JournalQuery(id="0", date=day, text=text, currency=currency, type=kind)


def test_the_posterior_is_what_walking_through_everything_gives():
    table = by_query(SMALL)
    assert sum(sum(lines.values()) for lines in table.values()) == pytest.approx(1)
    assert len(table) > 500
    for told, chances in table.items():
        whole = sum(chances.values())
        wanted = {lines: chance / whole for lines, chance in chances.items()}
        assert SMALL.posterior(query(*told)) == pytest.approx(wanted)


def test_without_a_day_the_posterior_is_the_mean_over_days():
    for text in ("Gas b", "Gas b 01/2024"):
        pooled = Counter()
        for (_, written, currency, kind), chances in by_query(SMALL).items():
            if (written, currency, kind) == (text, "GBP", "x"):
                pooled.update(chances)
        whole = sum(pooled.values())
        wanted = {lines: chance / whole for lines, chance in pooled.items()}
        assert SMALL.posterior(query(None, text, "GBP", "x")) == pytest.approx(wanted)


def test_what_is_drawn_follows_the_chances():
    table = everything(SMALL)
    n = 8_000
    drawn = Counter(
        (e.date, e.text, e.currency, e.type, tuple(sorted((x.account, x.side) for x in e.lines)))
        for e in SMALL.sample(n, seed=3)
    )
    assert set(drawn) <= set(table)
    common = [key for key, chance in table.items() if chance * n > 30]
    assert len(common) > 40
    errors = [(drawn[key] - n * table[key]) / np.sqrt(n * table[key]) for key in common]
    assert max(map(abs, errors)) < 4.5
    assert abs(np.mean(np.square(errors)) - 1) < 0.5


def test_the_exact_ceiling_is_the_best_of_all_guesses():
    table = by_query(SMALL)
    queries = [query(*told) for told in table]
    posteriors = [{k: v / sum(c.values()) for k, v in c.items()} for c in table.values()]
    ceiling = journal_ceiling(SMALL, queries)
    assert ceiling.exact == pytest.approx(np.mean([max(p.values()) for p in posteriors]))
    assert ceiling.exact < 1
    achieved = [p[guess] for p, guess in zip(posteriors, ceiling.exact_guess, strict=True)]
    assert np.mean(achieved) == pytest.approx(ceiling.exact)


def ratio(posteriors, guesses):
    common = sum(
        chance * sum((Counter(key) & Counter(guess)).values())
        for posterior, guess in zip(posteriors, guesses, strict=True)
        for key, chance in posterior.items()
    )
    booked = sum(chance * len(key) for posterior in posteriors for key, chance in posterior.items())
    return 2 * common / (booked + sum(map(len, guesses)))


line = st.sampled_from([("1", 0), ("1", 1), ("2", 1)])
key = st.lists(line, min_size=1, max_size=2).map(lambda lines: tuple(sorted(lines)))


@quick
@given(st.lists(st.dictionaries(key, st.integers(1, 9), min_size=1, max_size=2), min_size=1, max_size=2))
def test_the_f1_ceiling_is_the_best_of_all_guesses(weights):
    posteriors = [{k: w / sum(row.values()) for k, w in row.items()} for row in weights]
    value, guesses = best_f1(posteriors)
    lines = [("1", 0), ("1", 1), ("2", 1)]
    guessable = [c for k in range(5) for c in itertools.combinations_with_replacement(lines, k)]
    best = max(ratio(posteriors, choice) for choice in itertools.product(guessable, repeat=len(posteriors)))
    assert value == pytest.approx(best)
    assert ratio(posteriors, guesses) == pytest.approx(value)


def test_a_world_without_doubt_has_a_ceiling_of_one():
    sure = Occasion(name="x", weight=1, wordings=(Wording(pattern="Rent"),), bookings=(way(1, "1", "2"),))
    world = JournalWorld(occasions=(sure,))
    ceiling = journal_ceiling(world, world.sample(20, seed=0))
    assert (ceiling.exact, ceiling.f1) == (1, 1)
    assert ceiling.f1_guess == ceiling.exact_guess


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ((None, "Rent", "GBP", "x"), "query: want an entry that this world can hold"),
        ((datetime.date(2024, 2, 3), "gsa b", "GBP", "x"), "query: want an entry that this world can hold"),
        ((datetime.date(2024, 1, 28), "Gas b 02/2024", "GBP", "x"), "query: want an entry"),
        ((datetime.date(2024, 1, 28), "Gas b", "USD", "x"), "query: want an entry"),
    ],
)
def test_what_cannot_be_is_refused(told, message):
    with pytest.raises(ValueError, match=message):
        SMALL.posterior(query(*told))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bookings": (way(0.5, "1", "2"),)},
            "bookings: want probabilities that add up to 1, got 0.5 for 'x'",
        ),
        ({"wordings": (Wording(pattern="No 12"),)}, "wordings: want words without digits, got 'No 12'"),
        ({"wordings": (Wording(pattern="{party}"),)}, "wordings: want words without digits, got ''"),
    ],
)
def test_an_occasion_that_is_none_is_refused(change, message):
    whole = {
        "name": "x",
        "weight": 1,
        "wordings": (Wording(pattern="Rent"),),
        "bookings": (way(1, "1", "2"),),
    }
    with pytest.raises(ValueError, match=message):
        Occasion(**{**whole, **change})


def test_shares_are_of_a_whole_and_every_occasion_has_a_day():
    with pytest.raises(ValueError, match="debits: want shares above 0 that add up to 1"):
        Booking(probability=1, debits=(("1", 0.5),), credits=(("2", 1),))
    with pytest.raises(ValueError, match="occasions: want a day between 2024-06-01 and 2024-06-09, got none"):
        uk_journal(9, seed=0, first=datetime.date(2024, 6, 1), last=datetime.date(2024, 6, 9))
    with pytest.raises(ValueError, match="queries: want 1 or more, got none"):
        journal_ceiling(SMALL, [])


def test_bookings_are_read_as_they_are_written():
    booking = booking_of("25% 4000+VAT / 1100")
    assert booking.probability == 0.25
    assert booking.debits == (("4000", pytest.approx(1 / 1.2)), ("2200", pytest.approx(1 / 6)))
    assert booking_of("7300+VAT / 2100").debits[1][0] == "2201"
    assert booking_of("1100 / 4000+VAT").credits[1][0] == "2200"
    assert booking_of("8100+OUT / 1100").debits[1][0] == "2200"
    assert booking_of("1 .8, 2 .2 / 3").debits == (("1", 0.8), ("2", 0.2))


MADE = uk_journal(3000, seed=1)


def test_every_entry_balances_and_has_both_sides():
    assert {len(entry.lines) for entry in MADE.entries} == {2, 3, 4, 5, 7, 8}
    for entry in MADE.entries:
        assert abs(entry.imbalance) < 1e-6
        assert entry.debits
        assert entry.credits
        assert all(line.amount > 0 for line in entry.lines)


def test_the_seed_is_all_that_differs():
    again, other = uk_journal(50, seed=1), uk_journal(50, seed=2)
    assert again.entries == uk_journal(50, seed=1).entries
    assert again.entries != other.entries
    assert again.world == other.world


def test_days_rise_texts_recur_and_some_hold_a_slip():
    dates = [entry.date for entry in MADE.entries]
    assert dates == sorted(dates)
    texts = Counter(MADE.source.tolist())
    assert 300 < len(texts) < 1500
    assert max(texts.values()) > 10
    assert {entry.currency for entry in MADE.entries} == {"GBP", "EUR"}


def test_each_split_has_its_own_ceiling_which_its_guesses_reach():
    time = split_by_time([entry.date for entry in MADE.entries])
    text = split_by_text(MADE.source, seed=0)
    assert not set(MADE.source[text == 2]) & set(MADE.source[text < 2])
    found = []
    for split in (time, text):
        test = [entry for entry, part in zip(MADE.entries, split, strict=True) if part == 2]
        ceiling = journal_ceiling(MADE.world, test)
        keys = [tuple(sorted((x.account, x.side) for x in entry.lines)) for entry in test]
        right = np.mean([guess == key for guess, key in zip(ceiling.exact_guess, keys, strict=True)])
        spread = np.sqrt(ceiling.exact * (1 - ceiling.exact) / len(test))
        assert 0.9 < ceiling.exact < ceiling.f1 < 1
        assert abs(right - ceiling.exact) < 4 * spread
        found.append(ceiling.exact)
    assert found[0] != found[1]


def test_the_same_words_mean_another_thing_on_another_day():
    accrual, reversal = (
        next(iter(MADE.world.posterior(query(datetime.date(2024, 5, day), "Accrual gas 05/2024", "GBP", ""))))
        for day in (30, 2)
    )
    assert accrual == (("2109", 1), ("7201", 0))
    assert reversal == (("2109", 0), ("7201", 1))


def test_entries_become_arrays_on_a_chart_of_these_codes():
    codes = sorted({c for o in uk_occasions() for b in o.bookings for c, _ in b.debits + b.credits}, key=int)
    chart = Catalogue.of([Account(code=code, name=code, nature="debit") for code in codes])
    encoding = JournalEncoding.fit(MADE.entries, catalogue=chart, max_lines=8)
    journal = encode_journal(MADE.entries, catalogue=chart, encoding=encoding, group=MADE.source)
    assert len(journal) == 3000
    assert journal.line_mask.sum() == sum(len(entry.lines) for entry in MADE.entries)
