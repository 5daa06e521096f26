"""What is unreleased becomes a version; nothing else of a changelog moves."""

import datetime

import pytest
from packaging.version import Version
from tools.changelog import add_change, read_notes, release_notes
from tools.commands import RefusedError

TEXT = """# Changelog

## Unreleased

### Added

- One.
- Two.

## 0.1.0 - 2026-01-02

- Zero.
"""
DAY = datetime.date(2026, 2, 3)


def test_unreleased_entries_move_under_the_version_and_an_empty_heading_stays():
    text = release_notes(TEXT, version=Version("0.2.0"), date=DAY)
    assert text == TEXT.replace("## Unreleased\n", "## Unreleased\n\n## 0.2.0 - 2026-02-03\n")


def test_notes_are_the_entries_that_were_moved():
    text = release_notes(TEXT, version=Version("0.2.0"), date=DAY)
    assert read_notes(text, Version("0.2.0")) == "### Added\n\n- One.\n- Two."
    assert read_notes(text, Version("0.1.0")) == "- Zero."


def test_every_line_survives_releases_one_after_another():
    text = release_notes(TEXT, version=Version("0.2.0"), date=DAY)
    text = release_notes(add_change(text, "Three."), version=Version("0.3.0"), date=DAY)
    assert [line for line in TEXT.splitlines() if line not in text.splitlines()] == []
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Unreleased",
        "## 0.3.0 - 2026-02-03",
        "## 0.2.0 - 2026-02-03",
        "## 0.1.0 - 2026-01-02",
    ]


def test_two_changes_stand_under_one_heading():
    text = add_change(add_change(TEXT, "A."), "B.")
    assert text.count("### Changed") == 1
    notes = read_notes(release_notes(text, version=Version("1.0.0"), date=DAY), Version("1.0.0"))
    assert notes == "### Added\n\n- One.\n- Two.\n\n### Changed\n\n- B.\n- A."


def test_a_release_without_entries_is_refused():
    empty = release_notes(TEXT, version=Version("0.2.0"), date=DAY)
    with pytest.raises(RefusedError, match="want at least one entry"):
        release_notes(empty, version=Version("0.3.0"), date=DAY)


def test_a_version_that_has_a_section_is_refused():
    with pytest.raises(RefusedError, match=r"0\.1\.0 has a section already"):
        release_notes(TEXT, version=Version("0.1.0"), date=DAY)


def test_a_date_before_the_last_release_is_refused():
    with pytest.raises(RefusedError, match=r"want 2026-01-02 or later .*got 2026-01-01"):
        release_notes(TEXT, version=Version("0.2.0"), date=datetime.date(2026, 1, 1))


@pytest.mark.parametrize("text", ["# Changelog\n", TEXT + "\n## Unreleased\n"])
def test_a_changelog_without_exactly_one_unreleased_section_is_refused(text):
    with pytest.raises(RefusedError, match="want one heading"):
        release_notes(text, version=Version("0.2.0"), date=DAY)
