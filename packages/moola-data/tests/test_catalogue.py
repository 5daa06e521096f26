import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.catalogue import Account, Catalogue, code_prefixes, read_catalogue, write_catalogue
from moola_data.journal_text import TextBag

CODES = ("1", "1-01", "1-01-003", "1-02-001", "2-01-001")


def chart(codes=CODES, **more):
    return Catalogue.of([Account(code=c, name=f"Account {c}", nature="debit", **more) for c in codes])


def test_the_fingerprint_is_the_same_in_every_process():
    program = (
        "from moola_data.catalogue import Account, Catalogue\n"
        "from moola_data.journal_text import TextBag\n"
        f"chart = Catalogue.of([Account(code=c, name='Account ' + c, nature='debit') for c in {CODES!r}])\n"
        "print(chart.fingerprint, TextBag().bags(chart.texts)[0].tolist(),\n"
        "      TextBag().word_bags(chart.feature_words())[0].tolist())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert seen.pop().startswith(chart().fingerprint)


@pytest.mark.parametrize(
    "other",
    [
        chart(CODES[::-1]),
        chart(CODES[:-1]),
        chart(type="asset"),
        chart(description="x"),
        Catalogue.of([a.model_copy(update={"nature": "credit"}) for a in chart().accounts]),
    ],
)
def test_whatever_differs_differs_in_the_fingerprint(other):
    assert other.fingerprint != chart().fingerprint


def test_accounts_lie_below_the_nearest_listed_beginning_of_their_code():
    assert chart().parents == (-1, 0, 1, 0, -1)
    assert [chart().ancestors(i) for i in range(5)] == [(), (0,), (0, 1), (0,), ()]


def test_a_parent_that_is_named_counts_more_than_the_code():
    accounts = [
        Account(code="7", name="Costs", nature="debit"),
        Account(code="1-2", name="Rent", nature="debit", parent_code="7"),
    ]
    assert Catalogue.of(accounts).parents == (-1, 0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), unique=True, min_size=1))
def test_ancestors_are_the_listed_beginnings(paths):
    codes = ["-".join(map(str, path)) for path in paths]
    catalogue = chart(codes)
    for number, path in enumerate(paths):
        wanted = [paths.index(path[:k]) for k in range(1, len(path)) if path[:k] in paths]
        assert list(catalogue.ancestors(number)) == wanted


def test_relatives_share_features_and_strangers_do_not():
    words = [set(row) for row in chart().feature_words()]
    assert "code=1-01" in words[1] & words[2]
    assert not {w for w in words[4] if w.startswith("code=")} & words[2]
    assert words[2] - words[1] == {"depth=2", "code=1-01-003"}


def test_codes_of_digits_alone_have_a_level_a_digit():
    assert code_prefixes("7602") == ("7", "76", "760", "7602")
    assert code_prefixes("Assets:Bank") == ("Assets", "Assets:Bank")


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ([], "accounts: want 1 or more, got none"),
        (
            [{"code": "1", "name": "a", "nature": "debit"}] * 2,
            "accounts: want each code once, got '1' in rows 0 and 1",
        ),
        (
            [{"code": "1", "name": "a", "nature": "debit", "parent_code": "2"}],
            "accounts: want a parent in the catalogue, got '2' in row 0",
        ),
        (
            [
                {"code": "1", "name": "a", "nature": "debit", "parent_code": "2"},
                {"code": "2", "name": "a", "nature": "debit", "parent_code": "1"},
            ],
            "accounts: want parents without a circle, got one in row 0",
        ),
        ([{"code": " ", "name": "a", "nature": "debit"}], "want a text that is not blank"),
        ([{"code": "1", "name": "a", "nature": "both"}], "debit"),
    ],
)
def test_bad_accounts_are_named(accounts, message):
    with pytest.raises(ValueError, match=message):
        Catalogue.model_validate({"accounts": accounts})


def test_an_unknown_code_is_named():
    with pytest.raises(ValueError, match="code: want one of the catalogue's 5 codes, got '9'"):
        chart().number("9")


def test_a_catalogue_comes_back_from_its_file(tmp_path):
    path = tmp_path / "catalogue.json"
    write_catalogue(path, chart())
    assert read_catalogue(path) == chart()
    assert read_catalogue(path, fingerprint=chart().fingerprint).codes == CODES


def test_a_changed_catalogue_is_refused(tmp_path):
    path = tmp_path / "catalogue.json"
    write_catalogue(path, chart())
    with pytest.raises(ValueError, match="catalogue: want the accounts of fingerprint 00"):
        read_catalogue(path, fingerprint="00")
    content = json.loads(path.read_text())
    content["accounts"].reverse()
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="catalogue: want the accounts of fingerprint"):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("content", "message"), [("[", "want JSON"), ("{}", "want a file of schema_version 1")]
)
def test_a_file_with_something_else_is_refused(tmp_path, content, message):
    path = Path(tmp_path / "catalogue.json")
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_catalogue(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="catalogue: want a file, got"):
        read_catalogue(tmp_path / "none.json")


def test_buckets_of_accounts_are_in_range():
    ids, offsets = TextBag(buckets=50).word_bags(chart().feature_words())
    assert offsets.tolist() == [0, *(sum(map(len, chart().feature_words()[:k])) for k in range(1, 6))]
    assert 0 <= ids.min() <= ids.max() < 50
