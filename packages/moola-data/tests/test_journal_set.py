import datetime
import json
import math
import re
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.catalogue import Account, Catalogue
from moola_data.journal_date import DATE_FEATURES, date_features
from moola_data.journal_entry import JournalEntry, JournalLine, JournalQuery
from moola_data.journal_set import JournalEncoding, encode_journal, encode_queries, journal_rows
from moola_data.journal_split import split_by_text, split_by_time, text_groups, text_key
from moola_data.journal_target import canonical_lines, line_targets
from moola_data.journal_text import TextBag, normalise_text
from moola_data.schema import JournalQueries, JournalSet
from moola_data.vocabulary import Vocabulary

CHART = Catalogue.of([Account(code=str(c), name=f"Account {c}", nature="debit") for c in range(10)])
quick = settings(deadline=None, max_examples=50)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  Café\tCorp  ", "Café Corp"),
        (chr(0xFB01) + "n" + chr(0x2460), "fin1"),  # a ligature and a one in a circle
        (None, ""),
        ("Rent" + chr(0xA0) + chr(0x3000) + "März", "Rent März"),
        ("RENT", "RENT"),
    ],
)
def test_texts_have_one_normal_form(text, wanted):
    assert normalise_text(text) == wanted


@quick
@given(st.text())
def test_a_normal_form_is_its_own(text):
    once = normalise_text(text)
    assert normalise_text(once) == once


def test_a_number_is_no_text():
    with pytest.raises(TypeError, match="text: want a str or None, got float"):
        normalise_text(float("nan"))


def test_a_day_is_eight_numbers_of_the_size_of_one():
    row = date_features([datetime.date(2024, 6, 15)])[0]
    month, day, week = 2 * math.pi * 6 / 12, 2 * math.pi * 15 / 31, 2 * math.pi * 5 / 7
    waves = [f(angle) for angle in (month, day, week) for f in (math.sin, math.cos)]
    assert row.tolist() == pytest.approx([0.4, *waves, 1.0], abs=1e-6)
    assert row[1:5].tolist() == pytest.approx([0, -1, 0.1012, -0.9949], abs=5e-5)
    assert len(DATE_FEATURES) == 8


@quick
@given(st.lists(st.none() | st.dates(datetime.date(1970, 1, 1), datetime.date(2069, 1, 1)), max_size=5))
def test_days_are_bounded_and_no_day_is_zero(dates):
    found = date_features(dates)
    assert found.shape == (len(dates), 8)
    assert (np.abs(found) <= 5).all()
    assert [not row.any() for row in found] == [d is None for d in dates]
    alone = [date_features([d])[0].tolist() for d in dates]
    assert found.tolist() == alone


def test_words_of_training_keep_their_numbers_and_others_are_zero():
    vocabulary = Vocabulary.fit(["MXN", "GBP", "GBP", "EUR"])
    assert vocabulary.words == ("GBP", "EUR", "MXN")
    assert vocabulary.encode(["MXN", "mxn", "", "GBP"]).tolist() == [3, 0, 0, 1]
    assert len(vocabulary) == 4
    assert Vocabulary.fit(["a", "a", "b"], least=2).words == ("a",)
    with pytest.raises(ValueError, match="words: want each once, got 'a' twice"):
        Vocabulary(words=("a", "a"))


def slow_bag(text, sizes, buckets):
    """Every word marked, every n-gram of it, whole marked words once: straight from the definition."""
    grams = []
    for word in re.sub("[0-9]", "0", normalise_text(text).casefold()).split(" "):
        if word:
            marked = "<" + word + ">"
            grams.append(marked)
            for size in sizes:
                grams += [marked[i : i + size] for i in range(len(marked)) if i + size <= len(marked) > size]
    return [int.from_bytes(blake2b(g.encode(), digest_size=8).digest(), "big") % buckets for g in grams]


@quick
@given(st.lists(st.text("abÄ1 -", max_size=12), max_size=4))
def test_bags_hold_the_words_and_n_grams_of_each_text(texts):
    bag = TextBag(buckets=997, sizes=(3, 4))
    ids, offsets = bag.bags(texts)
    found = [ids[a:b].tolist() for a, b in pairwise(offsets)]
    assert found == [slow_bag(text, (3, 4), 997) for text in texts]


def test_case_and_digits_matter_only_if_asked():
    def same(a, b, **how):
        bag = TextBag(**how)
        return bag.bags([a])[0].tolist() == bag.bags([b])[0].tolist()

    assert same("RENT 12", "Rent 34")
    assert not same("RENT 12", "Rent 12", case="kept")
    assert not same("Rent 12", "Rent 34", digits="kept")


def test_sizes_are_lengths():
    with pytest.raises(ValueError, match="sizes: want numbers of 1 or more"):
        TextBag(sizes=(0, 3))


LINES = [(3, 0, 1.0), (5, 0, 3.0), (7, 1, 4.0)]


def test_targets_of_three_lines_in_six_slots():
    t = line_targets([LINES], max_lines=6)
    assert t.account[0].tolist() == [3, 5, 7, -1, -1, -1]
    assert t.side[0].tolist() == [0, 0, 1, -1, -1, -1]
    assert t.prev_account[0].tolist() == [-1, 3, 5, -1, -1, -1]
    assert t.prev_side[0].tolist() == [-1, 0, 0, -1, -1, -1]
    assert t.stop[0].tolist() == [0, 0, 1, 0, 0, 0]
    assert t.line_mask[0].tolist() == [True] * 3 + [False] * 3
    assert t.amount[0].tolist() == [0.25, 0.75, 1, 0, 0, 0]


line = st.tuples(st.integers(0, 9), st.integers(0, 1), st.integers(0, 9).map(float))


@quick
@given(st.lists(st.lists(line, min_size=1, max_size=5), min_size=1, max_size=4))
def test_history_is_the_line_before_and_stop_is_on_the_last_line(entries):
    t = line_targets(entries, max_lines=5)
    for i, lines in enumerate(entries):
        n = len(lines)
        assert t.account[i, :n].tolist() == [x[0] for x in lines]
        assert t.prev_account[i].tolist() == [-1, *(x[0] for x in lines[:-1])] + [-1] * (5 - n)
        assert t.prev_side[i].tolist() == [-1, *(x[1] for x in lines[:-1])] + [-1] * (5 - n)
        assert np.flatnonzero(t.stop[i]).tolist() == [n - 1]
        for side in (0, 1):
            total = sum(x[2] for x in lines if x[1] == side)
            assert t.amount[i][t.side[i] == side].sum() == pytest.approx(1.0 if total else 0.0)


@pytest.mark.parametrize("lines", [[], LINES * 2])
def test_targets_are_never_cut_in_silence(lines):
    with pytest.raises(ValueError, match=f"entries: want 1..5 lines, got {len(lines)} in row 1"):
        line_targets([LINES, lines], max_lines=5)


def entry(number, text="Rent", day=None, lines=((3, 0, 1.0), (7, 1, 1.0)), **more):
    made = tuple(JournalLine(account=str(a), side=s, amount=x) for a, s, x in lines)
    return JournalEntry(id=str(number), text=text, date=day, lines=made, **more)


@quick
@given(st.permutations([(3, 0, 1.0), (3, 0, 2.0), (1, 0, 1.0), (2, 1, 4.0)]))
def test_the_order_of_booking_leaves_no_trace(lines):
    found = canonical_lines(entry(0, lines=lines), CHART)
    assert found == [(1, 0, 1.0), (3, 0, 2.0), (3, 0, 1.0), (2, 1, 4.0)]


DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i // 3) for i in range(60)]
ENTRIES = [
    entry(i, text=f"{('Rent', 'Lohn', 'Fuel')[i % 3]} {i}", day=day, currency="GBP" if i % 2 else "EUR")
    for i, day in enumerate(DAYS)
]


def encoded(entries=ENTRIES, **more):
    encoding = JournalEncoding.fit(entries, catalogue=CHART, max_lines=4)
    return encode_journal(entries, catalogue=CHART, encoding=encoding, **more)


def test_queries_are_written_as_entries_are():
    encoding = JournalEncoding.fit(ENTRIES, catalogue=CHART, max_lines=4)
    bare = [JournalQuery(**e.model_dump(exclude={"lines"})) for e in ENTRIES]
    queries = encode_queries(bare, catalogue=CHART, encoding=encoding)
    journal = encode_journal(ENTRIES, catalogue=CHART, encoding=encoding)
    for name in JournalQueries.model_fields:
        a, b = getattr(queries, name), getattr(journal, name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def test_an_encoding_comes_back_from_json():
    encoding = JournalEncoding.fit(ENTRIES, catalogue=CHART, max_lines=4)
    again = JournalEncoding.model_validate_json(encoding.model_dump_json())
    assert again == encoding
    assert again.currencies.words == ("EUR", "GBP")
    assert json.loads(encoding.model_dump_json())["fingerprint"] == CHART.fingerprint


def test_another_catalogue_is_refused():
    encoding = JournalEncoding.fit(ENTRIES, catalogue=CHART)
    turned = Catalogue.of(CHART.accounts[::-1])
    with pytest.raises(ValueError, match="catalogue: want the accounts of fingerprint"):
        encode_queries(ENTRIES, catalogue=turned, encoding=encoding)


def test_an_entry_too_long_for_the_slots_is_refused():
    encoding = JournalEncoding.fit(ENTRIES, catalogue=CHART, max_lines=2)
    with pytest.raises(ValueError, match=r"entries: want 1..2 lines, got 3 in row 0"):
        encode_journal([entry(0, lines=LINES)], catalogue=CHART, encoding=encoding)


@quick
@given(st.lists(st.integers(0, 59), max_size=8))
def test_rows_of_a_journal_are_those_entries_encoded(rows):
    whole, rows = encoded(), np.array(rows, dtype=np.int64)
    part = journal_rows(whole, rows)
    assert part.id == tuple(whole.id[i] for i in rows)
    for at, row in enumerate(rows):
        a, b = part.ngram_offset[at : at + 2]
        c, d = whole.ngram_offset[row : row + 2]
        assert part.ngram[a:b].tolist() == whole.ngram[c:d].tolist()
        assert part.account[at].tolist() == whole.account[row].tolist()
        assert part.day[at] == whole.day[row]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("account", lambda a: a + 20, r"account: want 0..9, got 23 in place 0"),
        ("line_mask", lambda a: a & False, "line_mask: want 1 or more lines, got none in row 0"),
        ("line_mask", lambda a: ~a, "line_mask: want lines from slot 0 on without a gap"),
        ("ngram", lambda a: a - 10**6, "ngram: want 0..32767"),
        ("ngram_offset", lambda a: a + 1, "ngram_offset: want 61 numbers rising from 0"),
        ("text", lambda a: a[:-1], "text: want 60 texts, got 59"),
        ("currency", lambda a: a + 9, r"currency: want 0..2"),
        ("side", lambda a: a[:, :-1], "side"),
        ("side", lambda a: a * 0, "side: want -1 where there is no line"),
    ],
)
def test_a_journal_that_contradicts_itself_is_refused(name, change, message):
    journal = encoded()
    values = {field: getattr(journal, field) for field in JournalSet.model_fields}
    with pytest.raises(ValueError, match=message):
        JournalSet.model_validate({**values, name: change(values[name])})


def test_recurring_texts_are_one_group():
    assert text_key("RENT  03/2024") == text_key("Rent 11/2025")
    journal = encoded()
    assert len(set(journal.group.tolist())) == 3
    assert text_groups([]).tolist() == []


def test_time_runs_from_training_to_test_and_no_day_is_shared():
    split = split_by_time(DAYS, inner=0.2, test=0.3)
    days = np.array(DAYS, dtype="M8[D]")
    for early, late in ((0, 1), (1, 2)):
        assert days[split == early].max() < days[split == late].min()
    assert np.bincount(split).tolist() == pytest.approx([30, 12, 18], abs=3)


@quick
@given(st.integers(0, 99), st.lists(st.integers(0, 30), min_size=40, max_size=60))
def test_no_text_lies_in_two_parts(seed, groups):
    groups = np.array([*range(8), *groups])
    split = split_by_text(groups, seed=seed)
    for group in set(groups.tolist()):
        assert len(set(split[groups == group].tolist())) == 1
    assert split.tolist() == split_by_text(groups, seed=seed).tolist()


def test_another_seed_draws_other_texts():
    groups = np.arange(100)
    parts = [split_by_text(groups, seed=seed) for seed in (0, 1)]
    assert parts[0].tolist() != parts[1].tolist()
    assert np.bincount(parts[0]).tolist() == [60, 15, 25]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_by_time([None, *DAYS]), "dates: want a day, got None in row 0"),
        (lambda: split_by_time(DAYS[:2]), "dates: want 3 or more entries, got 2"),
        (lambda: split_by_time(DAYS[:3] * 9), "dates: want enough for every part, got none for train"),
        (lambda: split_by_time(DAYS, test=0.9), "inner, test: want shares above 0"),
        (lambda: split_by_text(np.zeros(9, np.int64), seed=0), "groups: want enough for every part"),
        (lambda: split_by_text(np.arange(9), seed=0, inner=0), "inner, test: want shares above 0"),
    ],
)
def test_parts_that_cannot_be_made_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
