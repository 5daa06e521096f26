"""What a run says of the files that it was given."""

import pandas as pd
import pytest

from moola_train.recipes.run_source import file_inputs


@pytest.mark.parametrize(
    ("rows", "joined"),
    [
        ([(10, 14), (20, 24), (30, 34)], 0),
        ([(10, 14), (15, 24), (30, 34)], 1),  # touching
        ([(10, 40), (20, 24), (30, 34)], 2),  # both in the first
        ([(30, 34), (10, 14), (32, 40)], 1),  # in any order
    ],
)
def test_spans_that_the_network_cannot_tell_apart_are_counted(tmp_path, rows, joined):
    close = [100.0 + i % 7 for i in range(300)]
    day = pd.date_range("2024-01-01", periods=300, freq="D").strftime("%Y-%m-%d")
    bars = {"time": day, "open": close, "high": [c + 1 for c in close], "low": [c - 1 for c in close]}
    pd.DataFrame(bars | {"close": close}).to_csv(tmp_path / "bars.csv", index=False)
    pd.DataFrame(rows, columns=["start", "end"]).to_csv(tmp_path / "spans.csv", index=False)
    notes = file_inputs(tmp_path / "bars.csv", tmp_path / "spans.csv").source.notes
    said = [note for note in notes if "learnt as one" in note]
    assert said == (
        [f"{joined} spans share bars with one before or touch it: learnt as one, scored one by one."]
        * (joined > 0)
    )
