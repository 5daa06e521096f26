"""Spans files: what is written comes back, and what does not fit is refused with its row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.schema import Bars, Spans
from moola_data.spans_file import read_annotators, read_spans, spans_table, write_spans

N = 40


def make_bars(symbols=1):
    n = N * symbols
    price = np.full(n, 1.0)
    code = np.repeat(np.arange(symbols, dtype=np.int32), N)
    clock = np.tile(np.arange(N), symbols) * np.timedelta64(60, "s")
    return Bars(
        time=(np.datetime64("2024-03-01T09:30", "ns") + clock).astype("M8[ns]"),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=code,
        segment=code.astype(np.int64),
        symbols=("ES", "NQ", "YM")[:symbols],
    )


def make_spans(rows, annotator="", label=""):
    start, end, kind, weight = (np.array([r[i] for r in rows]) for i in range(4))
    return Spans(
        start=start.astype(np.int64),
        end=end.astype(np.int64),
        type=kind.astype(np.int64),
        weight=weight.astype(np.float32),
        type_names=("consolidation", "retracement"),
        annotator=annotator,
        label=label,
    )


def same(a, b):
    arrays = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("start", "end", "type", "weight"))
    return arrays and (a.type_names, a.annotator, a.label) == (b.type_names, b.annotator, b.label)


@st.composite
def rows(draw):
    """Distinct spans inside one of two symbols, with type and weight, in any order."""
    starts = draw(st.lists(st.integers(0, 2 * N - 1), unique=True, min_size=1, max_size=10))
    found = []
    for s in starts:
        end = draw(st.integers(s, min(s + 6, s // N * N + N - 1)))
        found.append((s, end, draw(st.integers(-1, 1)), draw(st.floats(0, 2, width=32))))
    return found


@settings(deadline=None, max_examples=40)
@given(rows(), st.sampled_from([".csv", ".parquet"]), st.sampled_from(["number", "time"]))
def test_what_is_written_comes_back(tmp_path_factory, given_rows, suffix, times):
    bars, spans = make_bars(2), make_spans(given_rows, annotator="ann 1", label="expansion")
    path = tmp_path_factory.mktemp("spans") / f"spans{suffix}"
    write_spans(path, spans, bars, times=times)
    assert same(read_spans(path, bars), spans)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_several_annotators_come_back_by_name(tmp_path):
    bars = make_bars()
    several = [make_spans([(1, 5, 0, 1), (9, 9, -1, 0.5)], "a"), make_spans([(2, 5, 1, 1)], "b")]
    write_spans(tmp_path / "s.csv", several, bars)
    found = read_annotators(tmp_path / "s.csv", bars)
    assert list(found) == ["a", "b"]
    assert all(same(found[s.annotator], s) for s in several)
    with pytest.raises(ValueError, match=r"annotator: want one of \['a', 'b'\] chosen, got None"):
        read_spans(tmp_path / "s.csv", bars)
    assert read_spans(tmp_path / "s.csv", bars, annotator="*").start.tolist() == [1, 9, 2]
    assert read_spans(tmp_path / "s.csv", bars, annotator="b").start.tolist() == [2]


def test_plain_numbers_have_no_type_and_weight_one():
    spans = read_spans(pd.DataFrame({"start": [3, 10], "end": [5, 10]}), make_bars())
    assert spans.type.tolist() == [-1, -1]
    assert spans.weight.tolist() == [1, 1]
    assert (spans.start.tolist(), spans.end.tolist()) == ([3, 10], [5, 10])


def test_numbers_count_within_a_symbol_when_there_is_one():
    table = pd.DataFrame({"start": [3, 3], "end": [5, 5], "symbol": ["NQ", "ES"]})
    assert read_spans(table, make_bars(3)).start.tolist() == [N + 3, 3]
    assert read_spans(table.drop(columns="symbol").head(1), make_bars(3)).start.tolist() == [3]


def test_times_with_a_zone_mean_their_instant():
    table = pd.DataFrame({"start": ["2024-03-01T04:31-05:00"], "end": ["2024-03-01T09:33Z"]})
    spans = read_spans(table, make_bars())
    assert (spans.start[0], spans.end[0]) == (1, 3)


@pytest.mark.parametrize("times", ["number", "time"])
def test_an_end_past_the_span_is_brought_inside(times):
    bars = make_bars(2)
    table = spans_table(make_spans([(1, 4, 0, 1), (N + 3, N + 4, 1, 1)]), bars, times=times)
    spans = read_spans(table, bars, closed="left")
    assert spans.end.tolist() == [3, N + 3]
    if times == "number":
        last = pd.DataFrame({"start": [0], "end": [2 * N], "symbol": ["NQ"]}).assign(end=N)
        assert read_spans(last, bars, closed="left").end.tolist() == [2 * N - 1]


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("end", 40, r"end: want a bar in 0..39 of ES, got 40 in row 1"),
        ("start", -1, r"start: want a bar in 0..39 of ES, got -1 in row 1"),
        ("end", 3, r"spans: want end >= start, got 4..3 in row 1"),
        ("end", np.nan, r"end: want a bar, got an empty cell in row 1"),
        ("end", 7.5, r"end: want a whole bar number, got '?7.5'? in row 1"),
        ("start", "2024-03-01T09:30:10", r"start: want a whole bar number, got .* in row 1"),
        ("type", "expansion", r"type: want one of .*, got 'expansion' in row 1"),
        ("weight", "heavy", r"weight: want a number >= 0, at most .*, got 'heavy' in row 1"),
        ("weight", 1e39, r"weight: want a number >= 0, at most 3.4e\+38, got '?1e\+39'? in row 1"),
        ("weight", -1, r"weight: want a number >= 0, at most .*, got '?-1'? in row 1"),
        ("symbol", "CL", r"symbol: want one of \('ES',\), got 'CL' in row 1"),
    ],
)
@pytest.mark.parametrize("how", ["frame", "csv"])
def test_what_does_not_fit_is_refused_with_its_row(tmp_path, column, cell, message, how):
    cells = {
        "start": [0, 4],
        "end": [2, 6],
        "type": ["retracement"] * 2,
        "weight": [1, 1],
        "symbol": ["ES"] * 2,
    }
    table = pd.DataFrame(cells).astype({column: object})
    source = table if how == "frame" else tmp_path / "s.csv"
    if how == "csv":
        table.to_csv(source, index=False)
    assert len(read_spans(source, make_bars())) == 2
    table.loc[1, column] = cell
    if how == "csv":
        table.to_csv(source, index=False)
    with pytest.raises(ValueError, match=message):
        read_spans(source, make_bars())


def test_a_time_between_two_bars_is_refused_not_snapped():
    table = pd.DataFrame(
        {"start": ["2024-03-01T09:31", "2024-03-01T09:31:30"], "end": ["2024-03-01T09:33"] * 2}
    )
    with pytest.raises(
        ValueError, match="start: want the time of a bar of ES, got 2024-03-01T09:31:30 in row 1"
    ):
        read_spans(table, make_bars())


def test_a_number_among_times_is_refused():
    table = pd.DataFrame({"start": ["2024-03-01T09:31", 7], "end": ["2024-03-01T09:33"] * 2})
    with pytest.raises(ValueError, match=r"start: want .* got 7 in row 1"):
        read_spans(table, make_bars())


def test_times_in_bars_of_several_symbols_need_the_symbol():
    table = pd.DataFrame({"start": ["2024-03-01T09:31"], "end": ["2024-03-01T09:33"]})
    with pytest.raises(ValueError, match="symbol: want a column"):
        read_spans(table, make_bars(2))


def test_a_span_over_a_barrier_and_one_twice_are_refused_with_the_row_of_the_file():
    bars = make_bars().model_copy(update={"segment": np.repeat([0, 1], N // 2)})
    table = pd.DataFrame({"start": [0, 1, 18], "end": [2, 2, 22], "annotator": ["a", "b", "b"]})
    with pytest.raises(ValueError, match=r"got 18..22 across a barrier in row 2"):
        read_spans(table, bars, annotator="b")
    twice = pd.DataFrame({"start": [0, 1, 1], "end": [2, 2, 2]})
    with pytest.raises(ValueError, match=r"got 1..2 again in row 2"):
        read_spans(twice, bars)


def test_missing_and_unknown_columns_are_refused():
    with pytest.raises(ValueError, match="got no 'end'"):
        read_spans(pd.DataFrame({"start": [1]}), make_bars())
    with pytest.raises(ValueError, match=r"want columns among .*, got 'kind'"):
        read_spans(pd.DataFrame({"start": [1], "end": [1], "kind": ["x"]}), make_bars())


def test_a_missing_file_and_a_foreign_one_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv"):
        read_spans(tmp_path / "none.csv", make_bars())
    (tmp_path / "s.txt").write_text("start,end\n")
    with pytest.raises(ValueError, match=r"want a \.csv or \.parquet file"):
        read_spans(tmp_path / "s.txt", make_bars())
    with pytest.raises(ValueError, match=r"ending in \.csv or \.parquet"):
        write_spans(tmp_path / "s.txt", make_spans([(1, 2, 0, 1)]), make_bars())


@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
@pytest.mark.parametrize("content", [b"", b"start,end\n1,2\n3,4,5\n", b"\xff\xfe\x00"])
def test_a_broken_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"spans: want (a readable \.(csv|parquet) file|columns)"):
        read_spans(tmp_path / name, make_bars())


def test_errors_show_cells_as_they_are_written():
    """3.5, not np.float64(3.5)."""
    for column, cells in {"start": [1, 3.5], "weight": [1, -0.5], "type": [None, 3.5]}.items():
        table = pd.DataFrame({"start": [1, 2], "end": [5, 6]}).assign(**{column: cells})
        with pytest.raises(ValueError, match=rf"{column}: want .* got -?\d\.5 in row 1"):
            read_spans(table, make_bars())


def test_a_time_of_no_bar_is_told_without_a_symbol_where_bars_have_none():
    bars = make_bars().model_copy(update={"symbols": ("",)})
    table = pd.DataFrame({"start": ["2020-01-01"], "end": ["2020-01-02"]})
    with pytest.raises(ValueError, match="want the time of a bar, got 2020-01-01 in row 0"):
        read_spans(table, bars)


def test_a_file_with_semicolons_is_told_so(tmp_path):
    (tmp_path / "s.csv").write_text("start;end\n1;2\n")
    with pytest.raises(ValueError, match=r"s\.csv: want columns with commas between, got semicolons"):
        read_spans(tmp_path / "s.csv", make_bars())


@pytest.mark.parametrize("times", ["time", "number"])
@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_ends_left_out_of_the_span_come_back(tmp_path, name, times):
    spans, bars = make_spans([(1, 2, 0, 1), (5, 5, -1, 1), (30, 38, 1, 1)]), make_bars()
    write_spans(tmp_path / name, spans, bars, times=times, closed="left")
    back = read_spans(tmp_path / name, bars, closed="left")
    assert (back.start.tolist(), back.end.tolist()) == ([1, 5, 30], [2, 5, 38])


def test_no_time_comes_after_the_last_bar(tmp_path):
    spans = make_spans([(1, 2, 0, 1), (30, N - 1, 0, 1)])
    with pytest.raises(ValueError, match=r"want a bar after each .* got 30..39 in row 1"):
        write_spans(tmp_path / "s.csv", spans, make_bars(), closed="left")
    write_spans(tmp_path / "s.csv", spans, make_bars(), closed="left", times="number")
    assert read_spans(tmp_path / "s.csv", make_bars(), closed="left").end.tolist() == [2, N - 1]


def test_a_column_given_twice_is_refused(tmp_path):
    (tmp_path / "s.csv").write_text("start,end,end\n1,2,3\n")
    with pytest.raises(ValueError, match="each column once, got 'end' again"):
        read_spans(tmp_path / "s.csv", make_bars())


def test_the_callers_table_stays_as_it_was():
    table = pd.DataFrame({"start": [3], "end": [5], "type": [None]})
    before = table.copy(deep=True)
    assert read_spans(table, make_bars()).type.tolist() == [-1]
    pd.testing.assert_frame_equal(table, before)
