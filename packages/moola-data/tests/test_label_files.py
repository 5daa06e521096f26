"""TRAINSET, doccano and Audacity files as they are found: read or refused, and reported with their row."""

import numpy as np
import pytest

from moola_data.audacity_file import read_audacity
from moola_data.doccano_file import read_doccano
from moola_data.schema import Bars
from moola_data.trainset_file import read_trainset

N = 20
START = np.datetime64("2024-02-13T09:30", "ns")


def make_bars(symbols=("NQ",), segment=None):
    size = N * len(symbols)
    price = np.linspace(99, 101, size)
    return Bars(
        time=np.tile(START + np.arange(N) * np.timedelta64(60, "s"), len(symbols)),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=np.repeat(np.arange(len(symbols), dtype=np.int32), N),
        segment=np.repeat(np.arange(len(symbols)), N) if segment is None else segment,
        symbols=tuple(symbols),
    )


def pairs(spans):
    return list(zip(spans.start.tolist(), spans.end.tolist(), strict=True))


def reasons(report):
    return [(note.row, note.action, note.reason) for note in report.notes]


def trainset(tmp_path, points, bars=None, **how):
    rows = [
        f"{series},{START.astype('M8[m]') + minute}{second}Z,1.0,{label}"
        for series, minute, second, label in points
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["series,timestamp,value,label", *rows]) + "\n")
    return read_trainset(path, bars or make_bars(), **how)


def test_successive_points_of_one_label_are_one_span(tmp_path):
    labels = ["", "a", "a", "b", "b", "", "b", "a"]
    spans, report = trainset(tmp_path, [("x", i, "", name) for i, name in enumerate(labels)], label="*")
    assert pairs(spans) == [(1, 2), (3, 4), (6, 6), (7, 7)]
    assert (report.labels, report.notes) == (4, ())


def test_a_bar_that_the_file_leaves_out_and_a_barrier_end_a_span_and_are_reported(tmp_path):
    bars = make_bars(segment=np.repeat([0, 1], N // 2))
    points = [("x", i, "", "a") for i in (3, 4, 6, 9, 10)]
    spans, report = trainset(tmp_path, points, bars)
    assert pairs(spans) == [(3, 4), (6, 6), (9, 9), (10, 10)]
    left_out = "the file leaves out a bar before it"
    assert reasons(report) == [
        (2, "split", left_out),
        (3, "split", left_out),
        (4, "split", "a barrier lies before it"),
    ]


def test_points_between_bars_are_snapped_and_points_that_are_none_refused(tmp_path):
    points = [
        ("x", 3, ":10", "a"),
        ("x", 4, ":00", "a"),
        ("x", 4, ":20", "a"),
        ("x", 90, "", "a"),
        ("x", 5, "", " / "),
    ]
    spans, report = trainset(tmp_path, points)
    assert pairs(spans) == [(3, 4)]
    assert reasons(report) == [
        (0, "snapped", "time lies 10 s from the nearest bar"),
        (2, "refused", "its bar is not behind that of 2024-02-13T09:34"),
        (3, "refused", "outside the bars"),
        (4, "refused", "has no label"),
    ]
    assert (report.labels, report.kept) == (4, 1)


def test_series_are_symbols_or_are_mapped_to_them(tmp_path):
    bars = make_bars(("NQ", "ES"))
    points = [("ES", 1, "", "a"), ("NQ", 2, "", "a")]
    assert pairs(trainset(tmp_path, points, bars)[0]) == [(N + 1, N + 1), (2, 2)]
    spans, report = trainset(tmp_path, points, bars, series={"ES": "NQ"})
    assert pairs(spans) == [(1, 1)]
    assert reasons(report) == [(1, "ignored", "series 'NQ' was not asked for")]
    with pytest.raises(ValueError, match=r"series: want symbols among \('NQ', 'ES'\), got 'close'"):
        trainset(tmp_path, [("close", 1, "", "a")], bars)
    with pytest.raises(ValueError, match=r"series: want names among \['ES', 'NQ'\], got 'close'"):
        trainset(tmp_path, points, bars, series={"close": "NQ"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n", "want the columns series, timestamp, value, label, got a, b"),
        ("series,timestamp,value,label\nx,1,2\n", "want 4 cells, got 3 in row 0"),
        ('series,timestamp,value,label\nx,1,2,3\n"x\n', "want CSV in UTF-8, got .* in row 1"),
    ],
)
def test_what_is_no_trainset_file_is_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_trainset(tmp_path / "t.csv", make_bars())
    with pytest.raises(FileNotFoundError):
        read_trainset(tmp_path / "none.csv", make_bars())


def doccano(tmp_path, *lines, bars=None, **how):
    (tmp_path / "d.jsonl").write_text("\n".join(lines) + "\n")
    return read_doccano(tmp_path / "d.jsonl", bars or make_bars(), **how)


def test_doccanos_ends_are_exclusive_unless_said_otherwise(tmp_path):
    line = '{"id": 3, "text": "uduudud-ud", "first_bar": 4, "symbol": "ES", '
    line += '"label": [[2, 5, "expansion/retracement"]]}'
    bars = make_bars(("NQ", "ES"))
    spans, report = doccano(tmp_path, line, bars=bars)
    assert pairs(spans) == [(N + 6, N + 8)]
    assert (spans.label, spans.type.tolist(), report.notes) == ("expansion", [1], ())
    assert pairs(doccano(tmp_path, line, bars=bars, closed="both")[0]) == [(N + 6, N + 9)]


def test_labels_that_leave_their_line_are_clipped_or_refused(tmp_path):
    labels = '[[8, 12, "a"], [-2, 3, "a"], [10, 11, "a"], [4, 4, "a"], [6, 4, "a"], [1, 2, ""], [-3, 0, "a"]]'
    spans, report = doccano(tmp_path, '{"text": "uuuuuuuuuu", "label": ' + labels + "}", starts=[5])
    assert pairs(spans) == [(13, 14), (5, 7)]
    outside = "reaches outside the 10 bars of its line"
    assert reasons(report) == [
        (0, "clipped", outside),
        (1, "clipped", outside),
        (2, "refused", "outside the 10 bars of its line"),
        (3, "refused", "zero length: no bar lies inside"),
        (4, "refused", "ends before it starts"),
        (5, "refused", "has no label"),
        (6, "refused", "outside the 10 bars of its line"),
    ]
    assert report.notes[0].used == "8..9"


def test_a_line_must_say_where_it_lies(tmp_path):
    line = '{"text": "uuu", "label": [[0, 1, "a"]]%s}'
    bars = make_bars(("NQ", "ES"))
    for more, how, message in [
        ("", {}, "starts: want the first bar of every line, got none and no first_bar in row 1"),
        ("", {"starts": [1]}, "starts: want one for each of 2 lines, got 1"),
        ("", {"starts": [0, 40]}, r"starts: want 0\.\.39, got 40 in row 1"),
        (', "first_bar": 3', {}, r"symbol: want one of \('NQ', 'ES'\), got none in row 1"),
        (', "first_bar": 3, "symbol": "CL"', {}, "symbol: want one of .*, got 'CL' in row 1"),
        (', "first_bar": 20, "symbol": "NQ"', {}, r"first_bar: want 0\.\.19, got 20 in row 1"),
        (', "first_bar": -1', {}, "got first_bar: .* in row 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            doccano(tmp_path, line % ', "first_bar": 0, "symbol": "NQ"', line % more, bars=bars, **how)
    with pytest.raises(ValueError, match=r"got label\.0: .* in row 0"):
        doccano(tmp_path, '{"text": "u", "label": ["a"]}')
    with pytest.raises(FileNotFoundError):
        read_doccano(tmp_path / "none.jsonl", bars)


def audacity(tmp_path, text, bars=None, **how):
    (tmp_path / "a.txt").write_text(text)
    return read_audacity(tmp_path / "a.txt", bars or make_bars(), **how)


def test_seconds_run_with_the_bars_times_or_with_bars_of_one_length(tmp_path):
    text = "120\t300\ta\n360\t360\ta\n"
    assert pairs(audacity(tmp_path, text)[0]) == [(2, 5), (6, 6)]
    assert pairs(audacity(tmp_path, text, closed="left")[0]) == [(2, 4), (6, 6)]
    assert pairs(audacity(tmp_path, text, bar_seconds=30)[0]) == [(4, 10), (12, 12)]
    later = {"origin": START + np.timedelta64(180, "s")}
    assert pairs(audacity(tmp_path, text, **later)[0]) == [(5, 8), (9, 9)]
    assert pairs(audacity(tmp_path, text, bar_seconds=60, **later)[0]) == [(5, 8), (9, 9)]


def test_bars_of_one_length_know_no_gaps(tmp_path):
    bars = make_bars()
    time = bars.time.copy()
    time[10:] += np.timedelta64(3600, "s")
    bars = bars.model_copy(update={"time": time})
    text = "540\t4200\ta\n"
    assert pairs(audacity(tmp_path, text, bars)[0]) == [(9, 10)]
    spans, report = audacity(tmp_path, text, bars, bar_seconds=60)
    assert pairs(spans) == [(9, 19)]
    assert reasons(report) == [(0, "clipped", "end lies 3060 s outside the bars")]


def test_odd_lines_of_a_track_are_reported(tmp_path):
    text = "60\t120\ta\n\\\t100\t2000\n130.5\t185\ta\r\nx\t300\ta\n300\t240\ta\n\n360\t420\n"
    text += "-600\t-300\ta\n60\t120\ta\n"
    spans, report = audacity(tmp_path, text)
    assert pairs(spans) == [(1, 2), (2, 3)]
    assert reasons(report) == [
        (0, "kept", "its range of frequencies is left out"),
        (2, "snapped", "start lies 10.5 s from the nearest bar"),
        (2, "snapped", "end lies 5 s from the nearest bar"),
        (3, "refused", "no number of seconds: 'x'"),
        (4, "refused", "ends before it starts"),
        (6, "refused", "has no label"),
        (7, "refused", "outside the bars"),
        (8, "refused", "marks the same bars as line 0"),
    ]


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        ("60 120 a\n", {}, "want start, end and name with tabs between, got '60 120 a' in row 0"),
        ("", {"symbol": "CL"}, r"symbol: want one of \('NQ', 'ES'\), got 'CL'"),
        ("", {"symbol": None}, r"symbol: want one of \('NQ', 'ES'\) chosen, got None"),
        ("", {"bar_seconds": 0.0}, "bar_seconds: want more than a microsecond, got 0.0"),
        (
            "",
            {"bar_seconds": 1.0, "origin": START + np.timedelta64(1, "s")},
            "origin: want the time of a bar of NQ",
        ),
    ],
)
def test_what_is_no_track_is_refused(tmp_path, text, how, message):
    with pytest.raises(ValueError, match=message):
        audacity(tmp_path, text, make_bars(("NQ", "ES")), **{"symbol": "NQ"} | how)
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe1\t2\ta")
    with pytest.raises(ValueError, match="want a text in UTF-8, got byte 0"):
        read_audacity(tmp_path / "b.txt", make_bars())
    with pytest.raises(FileNotFoundError):
        read_audacity(tmp_path / "none.txt", make_bars())
