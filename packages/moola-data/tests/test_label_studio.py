"""Label Studio exports as they are found: each oddity is read or refused, and reported with its row."""

import datetime
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.label_studio import label_studio_annotators, read_label_studio
from moola_data.label_studio_tasks import MOST_BARS, label_studio_config, write_label_studio
from moola_data.schema import Bars, Spans

N = 30
START = np.datetime64("2024-02-13T09:30", "ns")


def make_bars(symbols=("NQ",), n=N, segment=None):
    size = n * len(symbols)
    price = np.linspace(99, 101, size)
    return Bars(
        time=np.tile(START + np.arange(n) * np.timedelta64(60, "s"), len(symbols)),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=np.repeat(np.arange(len(symbols), dtype=np.int32), n),
        segment=np.repeat(np.arange(len(symbols)), n) if segment is None else segment,
        symbols=tuple(symbols),
    )


def clock(minute):
    return str(START.astype("M8[m]") + minute).replace("T", " ")


def region(start, end, labels=("expansion",), **more):
    value = {"start": start, "end": end, "instant": False, "timeserieslabels": list(labels)} | more
    return {"id": "r", "from_name": "label", "to_name": "ts", "type": "timeserieslabels", "value": value}


def full(*regions, **more):
    return {"id": 7, "data": {"csv": "x.csv"}, "annotations": [{"id": 1, "result": list(regions)}]} | more


def read(tmp_path, rows, bars=None, **how):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(rows))
    return read_label_studio(path, bars or make_bars(), **how)


def pairs(spans):
    return list(zip(spans.start.tolist(), spans.end.tolist(), strict=True))


def milliseconds(minute):
    return int((START + np.timedelta64(60 * minute, "s")).astype("M8[ms]").astype(np.int64))


ENCODINGS = {
    "number": lambda m: float(milliseconds(m)),
    "whole number": milliseconds,
    "text of a number": lambda m: str(milliseconds(m)),
    "text of a float": lambda m: f"{milliseconds(m)}.0",
    "minute": clock,
    "second": lambda m: clock(m) + ":00",
    "Zulu": lambda m: clock(m).replace(" ", "T") + ":00.000Z",
    "zone": lambda m: str(START.astype("M8[m]") + m + 120) + "+02:00",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", ["full", "minimal"])
def test_every_encoding_of_time_finds_the_same_bars(tmp_path, encoding, form):
    write = ENCODINGS[encoding]
    one, two = (
        region(write(3), write(8)),
        region(write(12), write(12), ["expansion", "retracement"], instant=True),
    )
    rows = [full(one, two)]
    if form == "minimal":
        rows = [
            {
                "id": 7,
                "csv": "x.csv",
                "label": [one["value"], two["value"]],
                "annotator": 4,
                "annotation_id": 1,
            }
        ]
    spans, report = read(tmp_path, rows)
    assert pairs(spans) == [(3, 8), (12, 12)]
    assert spans.type.tolist() == [-1, 1]
    assert (spans.label, spans.annotator) == ("expansion", "4" if form == "minimal" else "")
    assert (report.labels, report.kept, report.notes) == (2, 2, ())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, N - 1), st.integers(0, 59), st.integers(0, 6), st.integers(0, 59))
def test_ends_between_bars_go_to_the_nearest_and_are_reported(tmp_path_factory, first, off, size, off_end):
    start, end = 60 * first + off, min(60 * (first + size) + off_end, 60 * N - 1)
    if end < start:
        start, end = end, start
    time = [str(START.astype("M8[s]") + s) for s in (start, end)]
    spans, report = read(tmp_path_factory.mktemp("ls"), [full(region(*time))])
    bars_at = np.arange(N) * 60
    want = [int(np.argmin(np.abs(bars_at - s))) for s in (start, end)]
    assert pairs(spans) == [tuple(want)]
    reasons = [(note.action, note.reason) for note in report.notes if note.action != "kept"]
    away = [(name, min(abs(bars_at - s))) for name, s in (("start", start), ("end", end))]
    moved = [("snapped", f"{name} lies {d} s from the nearest bar") for name, d in away if d]
    assert reasons == (moved[:1] if start == end else moved)
    assert report.is_exact == (not moved)


@pytest.mark.parametrize(
    ("start", "end", "found", "action", "reason"),
    [
        (-5, 4, (0, 4), "clipped", "start lies 300 s outside the bars"),
        (20, 40, (20, 29), "clipped", "end lies 660 s outside the bars"),
        (-9, -5, None, "refused", "outside the bars"),
        (40, 45, None, "refused", "outside the bars"),
        (8, 3, None, "refused", "ends before it starts"),
        (6, 6, (6, 6), "kept", "zero length: the one bar at that time"),
        (4, None, None, "refused", "end is missing"),
        (4, float("nan"), None, "refused", "end is missing"),
        (4, "gestern", None, "refused", "end is no time: 'gestern'"),
        (4, "2024-02-31 09:40", None, "refused", "end is no time: '2024-02-31 09:40'"),
        (4, True, None, "refused", "end is no time: True"),
        (4, 1e300, None, "refused", "end is no time"),
    ],
)
def test_odd_ends_are_clipped_kept_or_refused_with_their_row(tmp_path, start, end, found, action, reason):
    end = clock(end) if type(end) is int else end
    spans, report = read(tmp_path, [full(region(clock(1), clock(2))), full(region(clock(start), end), id=8)])
    assert pairs(spans)[1:] == ([found] if found else [])
    (note,) = report.notes
    assert (note.row, note.place, note.action) == (1, "task 8, annotation 1, region r", action)
    assert note.reason.startswith(reason)
    assert report.kept == 2 - (action == "refused")


def test_a_gap_swallows_no_label_whose_end_is_far_from_any_bar(tmp_path):
    bars = make_bars()
    late = bars.time.copy()
    late[15:] += np.timedelta64(3600, "s")
    rows = [full(region(clock(10), clock(40)))]
    spans, report = read(tmp_path, rows, bars.model_copy(update={"time": late}))
    assert len(spans) == 0
    assert report.notes[0].reason == "no bar near the end: the nearest is 1560 s away"
    hour = datetime.timedelta(hours=1)
    spans, report = read(tmp_path, rows, bars.model_copy(update={"time": late}), tolerance=hour)
    assert pairs(spans) == [(10, 14)]
    assert report.count("snapped") == 1


def test_a_label_over_a_barrier_and_one_twice_are_refused(tmp_path):
    bars = make_bars(segment=np.repeat([0, 1], N // 2))
    rows = [
        full(
            region(clock(12), clock(17)),
            region(clock(3), clock(4)),
            region(clock(3), clock(4), ["retracement"]),
        )
    ]
    spans, report = read(tmp_path, rows, bars, label="expansion")
    assert pairs(spans) == [(3, 4)]
    assert [(note.row, note.action) for note in report.notes] == [(0, "refused"), (2, "ignored")]
    spans, report = read(tmp_path, rows, bars, label="*")
    assert [note.reason for note in report.notes] == [
        "reaches across a barrier: bars of two segments",
        "marks the same bars as task 7, annotation 1, region r",
    ]


def test_with_left_closed_ends_the_last_bar_is_the_one_that_ends_there(tmp_path):
    rows = [full(region(clock(3), clock(8)), region(clock(12), clock(N)), region(clock(20), clock(20)))]
    spans, report = read(tmp_path, rows, closed="left")
    assert pairs(spans) == [(3, 7), (12, N - 1)]
    assert [note.reason for note in report.notes] == ["zero length: no bar lies inside"]
    instant = [full(region(clock(9), clock(9), instant=True), region(clock(10), None, instant=True))]
    assert pairs(read(tmp_path, instant, closed="left")[0]) == [(9, 9), (10, 10)]


def people(*who):
    annotations = [
        {"id": i, "completed_by": by, "result": [region(clock(i), clock(i + 2))]} for i, by in enumerate(who)
    ]
    return [full(annotations=annotations)]


def test_several_annotators_are_told_apart(tmp_path):
    rows = people({"id": 3, "email": "a@example.org"}, 12, {"id": 3, "email": "a@example.org"})
    rows[0]["annotations"][1]["result"].append(region(clock(20), clock(21)))
    with pytest.raises(
        ValueError, match=r"annotator: want one of \['a@example.org', '12'\] chosen, got None"
    ):
        read(tmp_path, rows)
    assert label_studio_annotators(tmp_path / "export.json") == ("a@example.org", "12")
    with pytest.raises(ValueError, match=r"annotator: want one of .*, got 'b'"):
        read(tmp_path, rows, annotator="b")
    spans, report = read(tmp_path, rows, annotator="12")
    assert (pairs(spans), spans.annotator) == ([(1, 3), (20, 21)], "12")
    assert [(note.row, note.action) for note in report.notes] == [(0, "ignored"), (3, "ignored")]
    spans, _ = read(tmp_path, rows, annotator="*")
    assert (pairs(spans), spans.annotator) == ([(0, 2), (1, 3), (20, 21), (2, 4)], "a@example.org+12")


def test_what_nobody_asked_for_is_ignored_and_counted(tmp_path):
    rows = people(1, 2)
    rows[0]["annotations"][1]["was_cancelled"] = True
    rows[0]["annotations"][0]["result"].append({"id": "c", "type": "choices", "value": {"choices": ["good"]}})
    rows[0]["predictions"] = [
        {"id": 5, "model_version": "m1", "score": 0.4, "result": [region(clock(9), clock(11))]},
        77,
    ]
    rows[0]["drafts"] = [{"id": 6, "result": [region(clock(19), clock(21))]}]
    spans, report = read(tmp_path, rows)
    assert pairs(spans) == [(0, 2)]
    assert [(note.row, note.reason) for note in report.notes] == [
        (1, "is no label on a time series: choices"),
        (2, "is of a cancelled annotation"),
        (3, "is a prediction"),
        (4, "is a draft"),
    ]
    assert str(report) == "export.json: 1 of 5 labels became spans (4 ignored)"
    assert report.table()["place"].iloc[2] == "task 7, prediction 5, region r"
    guessed, _ = read(tmp_path, rows, wanted="predictions")
    assert (pairs(guessed), guessed.annotator) == ([(9, 11)], "m1")


def test_the_file_of_a_task_names_its_symbol_whatever_hash_stands_before_it(tmp_path):
    bars = make_bars(("NQ", "ES"))
    rows = [
        full(region(clock(1), clock(2)), data={"csv": "/data/upload/3/0a1b2c3d-ES.csv"}),
        full(region(clock(1), clock(2)), file_upload="ffffffff-NQ.csv", data={}),
        full(region(clock(5), clock(6)), data={"csv": "/data/local-files/?d=2024/march.csv"}),
        full(region(clock(7), clock(8)), data={"symbol": "ES", "csv": "NQ.csv"}),
        full(region(clock(7), clock(8)), data={"symbol": "CL"}),
    ]
    spans, report = read(tmp_path, rows, bars)
    assert pairs(spans) == [(N + 1, N + 2), (1, 2), (N + 7, N + 8)]
    assert [note.reason for note in report.notes] == [
        "its task names no symbol; its files are ['march.csv']",
        "there are no bars of symbol 'CL'",
    ]
    spans, _ = read(tmp_path, rows, bars, files={"march.csv": "NQ"})
    assert pairs(spans)[2] == (5, 6)
    with pytest.raises(ValueError, match=r"files: want a symbol among .*, got 'YM' for 'march.csv'"):
        read(tmp_path, rows, bars, files={"march.csv": "YM"})


def test_a_region_without_label_or_with_two_types_is_refused(tmp_path):
    rows = [
        full(region(clock(1), clock(2), []), region(clock(4), clock(5), ["consolidation", "retracement"]))
    ]
    _, report = read(tmp_path, rows)
    assert [note.reason for note in report.notes] == [
        "has no label",
        "has several types: consolidation, retracement",
    ]


def test_several_labels_must_be_chosen_from(tmp_path):
    rows = [full(region(clock(1), clock(2)), region(clock(4), clock(5), ["noise"]))]
    with pytest.raises(ValueError, match=r"label: want one of \['expansion', 'noise'\] chosen, got None"):
        read(tmp_path, rows)
    with pytest.raises(ValueError, match=r"label: want one of .*, got 'surge'"):
        read(tmp_path, rows, label="surge")
    spans, report = read(tmp_path, rows, label="noise")
    assert (pairs(spans), spans.label, report.count("ignored")) == ([(4, 5)], "noise", 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "want a JSON export of Label Studio"),
        ("{}", "want a JSON export of Label Studio"),
        ("nothing", "want a JSON export of Label Studio"),
        (
            '[{"id": 1, "annotations": 3}]',
            "want a JSON export of Label Studio, got a file in which annotations",
        ),
        ('[{"annotations": []}, {"label": []}]', r"want tasks in every row \(JSON\) or in none"),
    ],
)
def test_what_is_no_export_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_label_studio(tmp_path / "x.json", make_bars())
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_label_studio(tmp_path / "none.json", make_bars())


def a_span(**change):
    good = {
        "start": np.array([2]),
        "end": np.array([4]),
        "type": np.array([0]),
        "weight": np.ones(1, np.float32),
        "type_names": ("consolidation", "retracement"),
        "label": "expansion",
    }
    return Spans(**good | change)


def test_the_configuration_offers_every_name_and_reads_what_the_tasks_hold(tmp_path):
    write_label_studio(
        tmp_path, make_bars(), spans=a_span(), labels=["expansion", "consolidation", "retracement"]
    )
    view = ET.fromstring((tmp_path / "config.xml").read_text())
    assert [label.get("value") for label in view.iter("Label")] == [
        "expansion",
        "consolidation",
        "retracement",
    ]
    series = view.find("TimeSeries")
    assert (series.get("name"), view.find("TimeSeriesLabels").get("toName")) == ("ts", "ts")
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    columns = task["data"][series.get("value").removeprefix("$")]
    assert set(columns) == {series.get("timeColumn"), *(c.get("column") for c in series.iter("Channel"))}
    parsed = datetime.datetime.strptime(columns["time"][4], series.get("timeFormat"))
    assert parsed == datetime.datetime(2024, 2, 13, 9, 34)
    assert task["annotations"][0]["result"][0]["value"]["end"] == columns["time"][4]
    assert ET.fromstring(label_studio_config(['<"&'])).find(".//Label").get("value") == '<"&'


def test_csv_tasks_name_their_files_and_a_score_is_the_spans_mean(tmp_path):
    spans = a_span(
        start=np.array([2, 20]), end=np.array([4, 25]), type=np.array([0, -1]), weight=np.ones(2, np.float32)
    )
    how = {"kind": "predictions", "score": [0.25, 0.75], "data": "csv", "url": "https://example.org/"}
    assert write_label_studio(tmp_path, make_bars(), spans=spans, max_bars=16, **how) == 2
    one, two = json.loads((tmp_path / "tasks.json").read_text())
    assert (one["data"]["csv"], two["data"]["first_bar"]) == ("https://example.org/bars-00000.csv", 16)
    assert (one["predictions"][0]["score"], two["predictions"][0]["result"][0]["score"]) == (0.25, 0.75)
    lines = (tmp_path / "bars-00001.csv").read_text().splitlines()
    assert lines[0] == "time,open,high,low,close"
    assert (len(lines), lines[1].split(",")[0]) == (15, "2024-02-13 09:46:00")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_bars": 0}, f"max_bars: want 1..{MOST_BARS}, got 0"),
        ({"max_bars": MOST_BARS + 1}, f"max_bars: want 1..{MOST_BARS}"),
        ({"score": [1.0]}, "score: want it with the predictions of one Spans, got 1 as annotations"),
        ({"score": [1.0, 2.0], "kind": "predictions"}, r"score: want shape \(1,\), got \(2,\)"),
        ({"score": [np.nan], "kind": "predictions"}, "score: want finite numbers, got nan in row 0"),
        ({"labels": ["expansion"]}, "labels: want all names that the spans have, got no 'consolidation'"),
        ({"spans": [a_span(), a_span()]}, "spans: want each annotator once"),
        ({"max_bars": 2}, "max_bars: want more than 2, as spans cover every bar from bar 2 on"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_label_studio(tmp_path / "out", make_bars(), **{"spans": a_span()} | change)
    assert not list(tmp_path.glob("out/*.json"))


def test_fractions_of_a_second_are_refused_as_label_studio_loses_them(tmp_path):
    bars = make_bars()
    time = bars.time + np.timedelta64(250, "ms")
    with pytest.raises(ValueError, match=r"bars: want times in whole seconds, .* in row 0"):
        write_label_studio(tmp_path, bars.model_copy(update={"time": time.astype("M8[ns]")}))


def test_bars_without_spans_make_tasks_of_at_most_ten_thousand(tmp_path):
    assert write_label_studio(tmp_path, make_bars(n=10_001)) == 2
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"]["bars"] for task in tasks] == [10_000, 1]
    assert tasks[0]["annotations"] == []
    assert '"expansion"' in (tmp_path / "config.xml").read_text()
