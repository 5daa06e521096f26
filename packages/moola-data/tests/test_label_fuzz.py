"""Whatever a label file holds, it is read with a report or refused with one clear ValueError."""

import decimal
import json
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moola_data.audacity_file import read_audacity
from moola_data.doccano_file import read_doccano
from moola_data.label_studio import read_label_studio
from moola_data.origin_parquet import ColdFeaturesWarning, read_origin
from moola_data.schema import Bars
from moola_data.spans import check_spans
from moola_data.spans_file import read_annotators, read_spans
from moola_data.trainset_file import read_trainset

N = 40
REFUSAL = re.compile(r"[\w, .:/\-]+: .*(want|got) .*", re.S)


def make_bars():
    price = np.ones(N)
    return Bars(
        time=(1_707_829_200 + np.arange(N) * 60).astype("M8[s]").astype("M8[ns]"),
        **dict.fromkeys(("open", "high", "low", "close"), price),
        symbol=np.zeros(N, np.int32),
        segment=np.repeat([0, 1], N // 2),
        symbols=("NQ",),
    )


BARS = make_bars()
odd = st.sampled_from(
    [None, True, "", "NaN", float("nan"), float("inf"), 1e308, -1, 10**30, {}, [], "9999-99-99"]
)
moments = st.integers(-5, N + 5).map(lambda m: 1_707_829_200_000 + 60_000 * m)
times = st.one_of(moments, moments.map(str), st.floats(), st.text(max_size=5), odd)
names = st.lists(st.sampled_from(["expansion", "retracement", "consolidation", "", "a/b", 3]), max_size=2)
values = st.fixed_dictionaries(
    {},
    optional={
        "start": times,
        "end": times,
        "instant": st.one_of(st.booleans(), odd),
        "timeserieslabels": st.one_of(names, odd),
    },
)
regions = st.one_of(
    st.fixed_dictionaries({"value": values}, optional={"type": st.just("timeserieslabels"), "id": odd}), odd
)
annotations = st.fixed_dictionaries(
    {},
    optional={"result": st.lists(regions, max_size=4), "completed_by": odd, "was_cancelled": odd, "id": odd},
)
tasks = st.fixed_dictionaries(
    {"annotations": st.lists(annotations, max_size=2)},
    optional={
        "data": st.one_of(st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=2), odd),
        "predictions": odd,
    },
)
minimal = st.fixed_dictionaries(
    {"label": st.one_of(st.lists(values, max_size=4), odd)}, optional={"annotator": odd}
)
exports = st.one_of(
    st.lists(tasks, max_size=3),
    st.lists(minimal, max_size=3),
    st.lists(st.one_of(tasks, minimal), max_size=2),
)


def holds(read, path):
    try:
        spans, report = read(path, BARS, label="*")
    except ValueError:
        return
    check_spans(spans, BARS)
    lost = {note.row for note in report.notes if note.action in ("refused", "ignored")}
    assert report.labels == report.kept + len(lost)
    assert report.kept == len(spans)


def export_holds(folder, export):
    path = folder / "e.json"
    path.write_text(json.dumps(export))
    holds(lambda p, bars, label: read_label_studio(p, bars, label=label, annotator="*"), path)


lines = st.fixed_dictionaries(
    {"text": st.text(max_size=30)},
    optional={
        "label": st.lists(
            st.tuples(st.integers(-9, 50), st.integers(-9, 50), st.sampled_from(["a", "", "retracement"])),
            max_size=4,
        ),
        "first_bar": st.integers(0, N - 1),
    },
)


def doccano_holds(folder, objects):
    path = folder / "d.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in objects))
    holds(read_doccano, path)


def test_a_doccano_label_before_its_text_is_reported(tmp_path):
    doccano_holds(tmp_path, [{"text": "", "first_bar": 1, "label": [(-1, 1, "a")]}])


cells = st.one_of(times.map(str), st.integers(-5, N * 60).map(str), st.text(max_size=4))


def audacity_holds(folder, rows):
    path = folder / "a.txt"
    path.write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8", errors="replace")
    holds(read_audacity, path)


def trainset_holds(folder, points):
    path = folder / "t.csv"
    rows = [f"NQ,{time},1,{label}" for time, label in points]
    path.write_text("\n".join(["series,timestamp,value,label", *rows]), encoding="utf-8", errors="replace")
    holds(read_trainset, path)


def bytes_hold(folder, given_):
    content, read = given_
    path = folder / "b"
    path.write_bytes(content)
    holds(read, path)


bar_cells = st.one_of(
    st.integers(-2, N + 1),
    st.integers(0, N - 1).map(lambda at: str(BARS.time[at])),
    st.integers(0, N - 1).map(lambda at: pd.Timestamp(BARS.time[at], tz="Asia/Tokyo")),
    st.sampled_from(
        [None, "", " 3", "3.0", 3.0, 3.5, "+4", 10**20, -(2**63), True, "now", b"3", [3], "３", pd.NaT]
    ),
    st.sampled_from([decimal.Decimal(3), pd.Timestamp("2024-02-13"), "2024-02-13T13:00Z", np.int8(7), "1e3"]),
    st.floats(),
    st.text(max_size=4),
)
other_cells = {
    "type": st.sampled_from(["retracement", "consolidation", "", None, np.nan, 3, "x", True]),
    "symbol": st.sampled_from(["NQ", "NQ", "NQ", "ES", None, 3, ""]),
    "weight": st.one_of(st.floats(), st.sampled_from([1, "2", "", None, "x", 1e39, 10**400, -0.0, True])),
    "annotator": st.sampled_from(["a", "b", None, 3, ""]),
    "label": st.sampled_from(["expansion", "expansion", "other", None]),
    "score": st.floats(),
    "note": st.text(max_size=3),
}


@st.composite
def span_tables(draw):
    """Mostly good spans, a few cells and columns of which are anything."""
    n = draw(st.integers(0, 5))
    start = np.arange(n) * 6
    ends = {"start": start, "end": start + draw(st.integers(-1, 7))}
    if draw(st.booleans()):
        ends = {name: BARS.time[np.minimum(bars, N - 1)] for name, bars in ends.items()}
    table = pd.DataFrame(ends)
    for name in draw(st.lists(st.sampled_from(sorted(other_cells)), max_size=3, unique=True)):
        column = draw(st.lists(other_cells[name], min_size=n, max_size=n))
        table[name] = pd.Series(column, dtype=object) if draw(st.booleans()) else pd.Series(column)
    for name in draw(st.lists(st.sampled_from(["start", "end"]), max_size=2)) if n else []:
        column = pd.Series(list(table[name]), dtype=object)
        column.iat[draw(st.integers(0, n - 1))] = draw(bar_cells)
        table[name] = column.infer_objects() if draw(st.booleans()) else column
    if draw(st.integers(0, 9)) == 0:
        table = table.drop(columns=draw(st.sampled_from(list(table.columns))))
    return table, draw(st.sampled_from(["frame", "csv", "parquet"])), draw(st.sampled_from(["both", "left"]))


def spans_hold(folder, given_):
    table, form, closed = given_
    source = table if form == "frame" else folder / f"s.{form}"
    try:
        if form == "csv":
            table.to_csv(source, index=False)
        if form == "parquet":
            table.to_parquet(source, index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        source = table  # what no file can hold
    try:
        spans = [read_spans(source, BARS, closed=closed, annotator="*", label="*")]
        spans += read_annotators(source, BARS, label="*").values() if closed == "both" else []
    except ValueError as error:
        refused = str(error)
    else:
        refused = "spans: want more than this, got nothing wrong"
        for one in spans:
            check_spans(one, BARS)
        assert len(spans[0]) == len(table)
    assert REFUSAL.fullmatch(refused), refused


bar_of_four = st.one_of(
    st.just([2.0, 3.0, 1.0, 2.5]),
    st.just([2.0, 3.0, 1.0, 2.5]),
    st.lists(st.sampled_from([1.0, 2.0, -1.0, 0.0, np.nan, np.inf, None]), max_size=5),
)
origin_rows = st.fixed_dictionaries(
    {
        "window_id": st.sampled_from(["1_exp_1", "1_exp_2", "2_offset+52", "2", "", "_exp_1", None]),
        "features": st.one_of(
            st.just([[2.0, 3.0, 1.0, 2.5]] * 6),
            st.just([[2.0, 3.0, 1.0, 2.5]] * 6),
            st.lists(bar_of_four, max_size=6),
            st.none(),
        ),
        "expansion_start": st.one_of(st.integers(-1, 6), st.sampled_from([None, 1.5, np.nan])),
        "expansion_end": st.integers(0, 6),
        "label": st.sampled_from(["retracement", "consolidation", "retracement", "x", None]),
    }
)


def origin_holds(folder, rows):
    path = folder / "o.parquet"
    pd.DataFrame(
        rows, columns=["window_id", "features", "expansion_start", "expansion_end", "label"]
    ).to_parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColdFeaturesWarning)
        found, refused = None, ""
        try:
            found = read_origin(path)
        except ValueError as error:
            refused = str(error)
    if found is None:
        assert REFUSAL.fullmatch(refused), refused
    else:
        check_spans(found.spans, found.bars)
        assert len(found.spans) == len(rows)
        assert len(found.bars) == len(found) * found.length


KINDS = {
    "origin": (st.lists(origin_rows, max_size=4), origin_holds),
    "label_studio": (exports, export_holds),
    "doccano": (st.lists(st.one_of(lines, odd), max_size=3), doccano_holds),
    "audacity": (st.lists(st.lists(cells, min_size=1, max_size=4), max_size=6), audacity_holds),
    "trainset": (
        st.lists(st.tuples(cells, st.sampled_from(["", "a", "retracement", "/", '"'])), max_size=9),
        trainset_holds,
    ),
    "bytes": (
        st.tuples(
            st.binary(max_size=60),
            st.sampled_from([read_label_studio, read_doccano, read_audacity, read_trainset]),
        ),
        bytes_hold,
    ),
    "spans": (span_tables(), spans_hold),
}


def try_many(kind, folder, *, examples):
    strategy, property_ = KINDS[kind]

    @settings(deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def each(content):
        property_(folder, content)

    each()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_label_file_is_read_with_a_report_or_refused(kind, tmp_path):
    try_many(kind, tmp_path, examples=60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_bad_label_files(kind, tmp_path):
    try_many(kind, tmp_path, examples=2_000)
