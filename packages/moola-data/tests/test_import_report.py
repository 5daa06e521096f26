"""The report on an import accounts for every label of the file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moola_data.import_report import ImportNote, ImportReport

ACTIONS = ["kept", "snapped", "clipped", "split", "refused", "ignored"]


def note(row, action):
    return ImportNote(row=row, place=f"line {row}", action=action, reason="why", found="1..2")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(ACTIONS)), max_size=20))
def test_labels_are_kept_refused_or_ignored(happened):
    notes = tuple(note(row, action) for row, action in happened)
    lost = len({row for row, action in happened if action in ("refused", "ignored")})
    report = ImportReport(format="x", source="x", labels=10, kept=10 - lost, notes=notes)
    assert report.is_exact == all(action in ("kept", "split") for _, action in happened)
    assert report.table()["action"].tolist() == [action for _, action in happened]
    assert report.count("snapped") == len({row for row, action in happened if action == "snapped"})
    for wrong in (9 - lost, 11 - lost):
        if wrong >= 0:
            with pytest.raises(ValidationError, match=f"want {10 - lost} of 10 labels, got {wrong}"):
                ImportReport(format="x", source="x", labels=10, kept=wrong, notes=notes)


def test_an_empty_report_is_a_table_with_its_columns():
    report = ImportReport(format="x", source="labels.csv", labels=0, kept=0)
    assert report.table().columns.tolist() == ["row", "place", "action", "reason", "found", "used"]
    assert str(report) == "labels.csv: 0 of 0 labels became spans"
