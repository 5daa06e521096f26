import datetime
import math
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.catalogue import Account, Catalogue
from moola_data.journal_beancount import read_beancount
from moola_data.journal_entry import JournalEntry, JournalLine
from moola_data.journal_file import read_journal, write_journal
from moola_data.journal_policy import LENIENT, JournalNote, JournalPolicy, JournalReport
from moola_data.journal_table import entries_of_table, keep_largest, table_of_entries

CHART = Catalogue.of([Account(code=c, name=c, nature="debit") for c in ("007", "1200", "2201", "7100")])
GOOD = [("a", "2024-03-01", "Rent", "7100", 100.0, None), ("a", "2024-03-01", "Rent", "1200", None, 100.0)]


def table(*rows):
    return pd.DataFrame(
        list(rows), columns=["entry", "date", "text", "account", "debit", "credit"], dtype=object
    )


def lines_of(journal):
    return [[(line.account, line.side, line.amount) for line in entry.lines] for entry in journal.entries]


PROBLEMS = [
    ("unknown_account", [("b", None, "x", "9", 5, None), ("b", None, "x", "1200", None, 5)], "account '9'"),
    ("unknown_account", [("b", None, "x", None, 5, None), ("b", None, "x", "1200", None, 5)], "account None"),
    ("one_sided", [("b", None, "x", "7100", 5, None)], "debits only"),
    (
        "negative_amount",
        [("b", None, "x", "7100", -5, None), ("b", None, "x", "1200", 5, None)],
        "debit -5.0",
    ),
    ("both_sided_line", [("b", None, "x", "7100", 5, 5)], "debit 5.0 and credit 5.0"),
    (
        "no_amount",
        [
            ("b", None, "x", "7100", 5, None),
            ("b", None, "x", "1200", None, 5),
            ("b", None, "x", "2201", 0, None),
        ],
        "no amount on account 2201",
    ),
    ("empty_entry", [("b", None, "x", None, None, None)], "no line with an amount"),
    ("no_text", [("b", None, None, "7100", 5, None), ("b", None, None, "1200", None, 5)], "None"),
    ("no_text", [("b", None, float("nan"), "7100", 5, 0), ("b", None, "  ", "1200", 0, 5)], "None"),
    (
        "over_long",
        [("b", None, "x", "7100", k, None) for k in (1, 2, 3)] + [("b", None, "x", "1200", None, 6)],
        "4 lines, want at most 3",
    ),
]


@pytest.mark.parametrize(("problem", "rows", "found"), PROBLEMS)
def test_every_problem_is_an_error_unless_told_otherwise(problem, rows, found):
    with pytest.raises(ValueError, match=f"table: {problem}: got {found} in entry 'b', row [234]"):
        entries_of_table(table(*GOOD, *rows), catalogue=CHART, policy=JournalPolicy(max_lines=3))


@pytest.mark.parametrize(("problem", "rows", "found"), PROBLEMS)
def test_what_is_dropped_is_dropped_whole_and_counted(problem, rows, found):
    policy = JournalPolicy.model_validate({problem: "drop", "max_lines": 3})
    journal = entries_of_table(table(*GOOD, *rows), catalogue=CHART, policy=policy)
    assert [entry.id for entry in journal.entries] == ["a"]
    assert (journal.report.entries, journal.report.kept) == (2, 1)
    assert journal.report.counts == {(problem, "dropped"): 1}
    assert journal.report.notes[0].found == found


def lenient(rows, **change):
    return entries_of_table(
        table(*rows), catalogue=CHART, policy=LENIENT.model_copy(update={"max_lines": 3, **change})
    )


def test_a_negative_debit_is_a_credit():
    journal = lenient(PROBLEMS[3][1])
    assert lines_of(journal) == [[("7100", 1, 5.0), ("1200", 0, 5.0)]]
    assert journal.report.counts == {("negative_amount", "flipped"): 1}


def test_a_line_on_both_sides_becomes_two():
    journal = lenient(PROBLEMS[4][1])
    assert lines_of(journal) == [[("7100", 0, 5.0), ("7100", 1, 5.0)]]
    assert journal.report.counts == {("both_sided_line", "divided"): 1}


def test_a_line_without_amount_is_left_out_and_counted():
    journal = lenient(PROBLEMS[5][1])
    assert len(journal.entries[0].lines) == 2
    assert journal.report.counts == {("no_amount", "line_left_out"): 1}


def test_a_text_of_none_is_empty_and_not_the_word_none():
    for at in (7, 8):
        journal = lenient(PROBLEMS[at][1])
        assert [entry.text for entry in journal.entries] == [""]
        assert journal.report.counts == {("no_text", "kept"): 1}


def test_truncation_keeps_both_sides_and_the_largest():
    journal = lenient(PROBLEMS[9][1])
    assert lines_of(journal) == [[("7100", 0, 2.0), ("7100", 0, 3.0), ("1200", 1, 6.0)]]
    assert journal.report.counts == {("over_long", "truncated"): 1}


amounts = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=9)


@settings(deadline=None, max_examples=60)
@given(amounts, st.integers(2, 10))
def test_truncation_never_loses_a_side(pairs, count):
    lines = [JournalLine(account=str(i), side=s, amount=a) for i, (s, a) in enumerate(pairs)]
    kept = keep_largest(lines, count)
    assert len(kept) == min(count, len(lines))
    assert {line.side for line in kept} == {line.side for line in lines}
    assert [lines.index(line) for line in kept] == sorted(lines.index(line) for line in kept)
    for side in (0, 1):
        lost = [line.amount for line in lines if line.side == side and line not in kept]
        held = [line.amount for line in kept if line.side == side]
        assert not lost or max(lost) <= min(held)


def test_entries_that_do_not_balance_are_noted_or_refused():
    rows = [("b", None, "x", "7100", 5, None), ("b", None, "x", "1200", None, 7)]
    assert lenient(rows).report.counts == {("unbalanced", "kept"): 1}
    with pytest.raises(ValueError, match=r"unbalanced: got debits minus credits -2.00 in entry 'b'"):
        lenient(rows, unbalanced="error")
    assert lenient(rows, unbalanced="drop").entries == ()


def test_rows_of_one_entry_need_not_be_neighbours():
    other = [("b", None, "x", "7100", 5, None), ("b", None, "x", "1200", None, 5)]
    mixed = table(GOOD[0], other[0], GOOD[1], other[1])
    assert entries_of_table(mixed, catalogue=CHART) == entries_of_table(table(*GOOD, *other), catalogue=CHART)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(None, None, "x", "7100", 5, None)], "table: entry: want an id, got None in row 0"),
        ([("b", None, "x", "7100", "five", None)], "table: debit: want a finite number, got 'five' in row 0"),
        ([("b", None, "x", "7100", None, math.inf)], "table: credit: want a finite number, got inf in row 0"),
        (
            [("b", "soon", "x", "7100", 5, None), ("b", "soon", "x", "1200", None, 5)],
            "table: date: want a day, got 'soon' in row 0",
        ),
        (
            [("b", None, "x", "7100", 5, None), ("b", None, "y", "1200", None, 5)],
            "table: text: want the same in all rows of entry 'b', got 'x' and 'y' in row 1",
        ),
    ],
)
def test_a_table_that_is_no_journal_is_refused_whatever_the_policy(rows, message):
    with pytest.raises(ValueError, match=message):
        entries_of_table(table(*rows), catalogue=CHART, policy=LENIENT)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="got none named 'credit'"):
        entries_of_table(table(*GOOD).drop(columns="credit"), catalogue=CHART)


def test_a_report_that_loses_an_entry_cannot_be_made():
    with pytest.raises(ValueError, match="kept: want 3 of 3, got 2"):
        JournalReport(source="x", entries=3, kept=2)
    note = JournalNote(entry="a", row=0, problem="no_text", action="dropped", found="None")
    report = JournalReport(source="x", entries=3, kept=2, notes=(note, note))
    assert str(report) == "x: 2 of 3 entries kept (1 no_text dropped)"
    assert report.table()["entry"].tolist() == ["a", "a"]


word = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1).filter(str.strip)
entry = st.builds(
    JournalEntry,
    text=word,
    id=st.just("0"),
    date=st.none() | st.dates(datetime.date(1990, 1, 1), datetime.date(2040, 1, 1)),
    currency=st.sampled_from(["", "GBP", "NA"]),
    lines=st.just(
        (
            JournalLine(account="007", side=0, amount=1.25),
            JournalLine(account="007", side=0, amount=2),
            JournalLine(account="1200", side=1, amount=3.25),
        )
    ),
)


@settings(deadline=None, max_examples=10)
@given(st.lists(entry, min_size=1, max_size=4))
def test_entries_come_back_from_their_table(entries):
    numbered = [e.model_copy(update={"id": f"0{i}"}) for i, e in enumerate(entries)]
    assert list(entries_of_table(table_of_entries(numbered), catalogue=CHART).entries) == numbered


ODD = [
    JournalEntry(
        id=f"00{i}",
        text=text,
        date=date,
        currency="GBP",
        type="NA",
        lines=(
            JournalLine(account="007", side=0, amount=0.1),
            JournalLine(account="1200", side=1, amount=0.1),
        ),
    )
    for i, (text, date) in enumerate(
        [('Café "zwei",\n drei', datetime.date(2024, 2, 29)), ("NA", None), ("null", None), ("12", None)]
    )
]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_files_give_back_every_entry_leading_zeros_and_odd_texts_included(tmp_path, ending):
    path = tmp_path / f"journal.{ending}"
    write_journal(path, ODD)
    journal = read_journal(path, catalogue=CHART)
    assert list(journal.entries) == ODD
    assert str(journal.report) == f"journal.{ending}: 4 of 4 entries kept"


def test_a_parquet_file_with_typed_columns_is_read(tmp_path):
    path = tmp_path / "typed.parquet"
    frame = pd.DataFrame(
        {
            "entry": [1, 1],
            "date": pd.to_datetime(["2024-03-01"] * 2),
            "text": ["Rent"] * 2,
            "account": [7100, 1200],
            "debit": [5.0, math.nan],
            "credit": [math.nan, 5.0],
            "note": ["other", "columns"],
        }
    )
    frame.to_parquet(path)
    (found,) = read_journal(path, catalogue=CHART).entries
    assert (found.id, found.date, found.lines[0].account) == ("1", datetime.date(2024, 3, 1), "7100")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "journal: want a file ending in"),
        ("a.json", "{", "journal: want a readable .json file"),
        ("a.json", '{"entry": 1}', "want a list of objects"),
        ("a.csv", "", "journal: want a readable .csv file"),
        ("a.csv", "entry;text\n", "want columns with commas between, got semicolons"),
        ("a.parquet", "x", "journal: want a readable .parquet file"),
        ("a.csv", "entry,text\n1,x\n", "a.csv: want the columns entry, text, account, debit, credit"),
    ],
)
def test_a_file_with_something_else_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_journal(path, catalogue=CHART)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="journal: want a file, got"):
        read_journal(tmp_path / "a.csv", catalogue=CHART)
    with pytest.raises(ValueError, match="journal: want a file ending in"):
        write_journal(tmp_path / "a.txt", ODD)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"amount": -1}, "greater than or equal to 0"), ({"side": 2}, "side"), ({"amount": math.nan}, "finite")],
)
def test_a_line_is_an_amount_on_one_side(change, message):
    with pytest.raises(ValueError, match=message):
        JournalLine.model_validate({"account": "1", "side": 0, "amount": 1, **change})


def test_an_entry_without_lines_cannot_be_made():
    with pytest.raises(ValueError, match="want 1 or more lines, got none"):
        JournalEntry(id="1", text="x", lines=())


LOADED = """#!/bin/sh
cat <<'END'
{"booked": [
 ["2024-01-05", "Shop", "Food", [["Expenses:Food", "5.25", "USD"], ["Assets:Bank", "-5.25", "USD"]]],
 ["2024-01-06", null, "Opening", [["Assets:Bank", "0", "USD"]]]],
 "opened": ["Expenses:Food", "Assets:Bank", "Assets", "Income:Job"],
 "debit": ["Assets", "Expenses"], "errors": %s}
END
exit %d
"""


def interpreter(folder, errors="[]", code=0):
    """Stands in for a Python that has beancount: says what the program would say."""
    path = folder / "python"
    path.write_text(LOADED % (errors, code))
    path.chmod(0o755)
    (folder / "a.beancount").write_text("")
    return folder / "a.beancount", path


def test_a_ledger_gives_a_catalogue_and_entries(tmp_path):
    path, python = interpreter(tmp_path)
    ledger = read_beancount(path, python=python)
    assert ledger.catalogue.codes == ("Assets", "Assets:Bank", "Expenses:Food", "Income:Job")
    assert ledger.catalogue.parents == (-1, 0, -1, -1)
    assert [a.nature for a in ledger.catalogue.accounts] == ["debit", "debit", "debit", "credit"]
    assert lines_of(ledger.journal) == [[("Expenses:Food", 0, 5.25), ("Assets:Bank", 1, 5.25)]]
    assert ledger.journal.entries[0].text == "Shop Food"
    assert ledger.journal.report.counts == {("no_amount", "line_left_out"): 1, ("empty_entry", "dropped"): 1}


@pytest.mark.parametrize(
    ("errors", "code", "kind", "message"),
    [
        ("[]", 3, ImportError, "want beancount installed for"),
        ("[]", 1, ValueError, "ledger: want a file that beancount reads"),
        (
            '["no such account"]',
            0,
            ValueError,
            "want one without errors, got 1 in a.beancount: no such account",
        ),
    ],
)
def test_a_ledger_that_cannot_be_read_says_why(tmp_path, errors, code, kind, message):
    path, python = interpreter(tmp_path, errors, code)
    with pytest.raises(kind, match=message):
        read_beancount(path, python=python)


def test_a_ledger_or_interpreter_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="ledger: want a file"):
        read_beancount(tmp_path / "none", python=sys.executable)
    path, _ = interpreter(tmp_path)
    with pytest.raises(FileNotFoundError, match="python: want an interpreter"):
        read_beancount(path, python=tmp_path / "none")
