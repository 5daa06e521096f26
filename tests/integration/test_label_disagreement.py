"""Two people's marks of the same bars, and windows written as tasks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import make_bars
from moola_data.label_studio import read_label_studio
from moola_data.schema import Spans
from moola_train.recipes.label_disagreement import disagreement, looked_at
from moola_train.recipes.label_tasks import write_window_tasks


def bars_of(n: int = 200, symbols: tuple[str, ...] = ("A",)):
    frames = [
        pd.DataFrame(
            {
                "time": pd.date_range("2024-01-01", periods=n, freq="min"),
                "open": 100.0,
                "high": 101.0,
                "low": 99.0,
                "close": 100.0,
                "symbol": symbol,
            }
        )
        for symbol in symbols
    ]
    return make_bars(pd.concat(frames))


def spans_of(*spans: tuple[int, ...], annotator: str = "x") -> Spans:
    rows = [(*s, -1)[:3] for s in spans]
    start, end, kind = np.array(rows, np.int64).reshape(-1, 3).T
    return Spans(
        start=start,
        end=end,
        type=kind,
        weight=np.ones(len(rows), np.float32),
        type_names=("up", "down"),
        annotator=annotator,
        label="expansion",
    )


ONE = spans_of((0, 4), (10, 19, 0), (40, 49), (60, 65), (90, 99, 1), (190, 195))
TWO = spans_of((0, 4), (10, 19, 1), (43, 52), (70, 72), (90, 99), (190, 195), annotator="y")


def test_places_are_listed_with_the_greatest_difference_first():
    found = disagreement(ONE, TWO, bars_of())
    rows = [
        tuple(row) for row in found.places.drop(columns=["first_type", "second_type"]).itertuples(index=False)
    ]
    assert [row[:2] for row in rows] == [("edges", 6), ("only first", 6), ("only second", 3), ("type", 0)]
    assert rows[0][2:] == (40, 49, 43, 52)
    assert rows[1][2:4] == (60, 65)
    assert rows[2][4:] == (70, 72)
    assert (found.places["first_type"].iloc[3], found.places["second_type"].iloc[3]) == ("up", "down")
    assert found.agreement.first_spans == found.agreement.second_spans == 6


def test_who_is_first_changes_names_only():
    there, back = disagreement(ONE, TWO, bars_of()).places, disagreement(TWO, ONE, bars_of()).places
    swap = {"only first": "only second", "only second": "only first"}
    assert there["kind"].tolist() == [swap.get(kind, kind) for kind in back["kind"]]
    assert there["first_start"].equals(back["second_start"].rename("first_start"))


def test_bars_marked_by_one_add_up():
    rng = np.random.default_rng(0)
    bars = bars_of(600)

    def drawn():
        start = np.arange(5, 590, 30) + rng.integers(0, 8, 20)
        rows = [(int(a), int(a + d)) for a, d in zip(start, rng.integers(1, 9, 20), strict=True)]
        return spans_of((0, 3), *[row for row in rows if rng.random() < 0.8], (596, 599))

    one, two = drawn(), drawn()
    marked = [np.zeros(600, bool), np.zeros(600, bool)]
    for mask, spans in zip(marked, (one, two), strict=True):
        for a, b in zip(spans.start, spans.end, strict=True):
            mask[a : b + 1] = True
    assert disagreement(one, two, bars).places["bars"].sum() == (marked[0] ^ marked[1]).sum()


def test_one_who_agrees_with_himself_is_not_listed():
    assert not len(disagreement(ONE, ONE, bars_of()).places)


def test_what_only_one_looked_at_is_not_compared():
    bars = bars_of(100, ("A", "B"))
    late = spans_of((50, 55), (80, 85), (110, 115), annotator="y")
    early = spans_of((5, 9), (20, 24), (48, 52), (80, 85))
    found = disagreement(early, late, bars)
    assert found.places["kind"].tolist() == ["edges"]
    assert looked_at(late, bars).sum() == 36 + 6


def test_tasks_come_in_the_order_of_their_rank_and_go_back_to_the_right_bars(tmp_path):
    bars = bars_of(100, ("A", "B"))
    spans = spans_of((22, 25), (130, 139), (60, 70), annotator="7")
    first, last = np.array([120, 20]), np.array([149, 39])
    notes = [{"value": 2.5}, {"value": 1.5}]
    done = write_window_tasks(tmp_path, bars, first, last, spans=spans, kind="annotations", notes=notes)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert done == 2
    assert [t["data"]["symbol"] for t in tasks] == ["B", "A"]
    assert [t["data"]["rank"] for t in tasks] == [1, 2]
    assert [t["data"]["value"] for t in tasks] == [2.5, 1.5]
    assert [(t["data"]["first_bar"], t["data"]["bars"]) for t in tasks] == [(20, 30), (20, 20)]
    back, _ = read_label_studio(tmp_path / "tasks.json", bars, types=("up", "down"))
    assert sorted(zip(back.start.tolist(), back.end.tolist(), strict=True)) == [(22, 25), (130, 139)]


def test_windows_that_overlap_or_cross_a_barrier_are_refused(tmp_path):
    bars = bars_of(100, ("A", "B"))
    none = spans_of()
    for first, last, wanted in (([0, 10], [10, 20], "common bar"), ([95], [104], "across a barrier")):
        with pytest.raises(ValueError, match=wanted):
            write_window_tasks(
                tmp_path, bars, np.array(first), np.array(last), spans=none, kind="annotations"
            )
