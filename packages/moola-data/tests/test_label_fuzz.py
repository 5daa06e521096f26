"""Whatever a label file holds, it is read with a report or refused with one clear ValueError."""

import json

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moola_data.audacity_file import read_audacity
from moola_data.doccano_file import read_doccano
from moola_data.label_studio import read_label_studio
from moola_data.schema import Bars
from moola_data.spans import check_spans
from moola_data.trainset_file import read_trainset

N = 40
FAST = settings(deadline=None, max_examples=60)


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


@FAST
@given(exports)
def test_label_studio(tmp_path_factory, export):
    path = tmp_path_factory.mktemp("x") / "e.json"
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


@FAST
@given(st.lists(st.one_of(lines, odd), max_size=3))
@example([{"text": "", "first_bar": 1, "label": [(-1, 1, "a")]}])
def test_doccano(tmp_path_factory, objects):
    path = tmp_path_factory.mktemp("x") / "d.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in objects))
    holds(read_doccano, path)


cells = st.one_of(times.map(str), st.integers(-5, N * 60).map(str), st.text(max_size=4))


@FAST
@given(st.lists(st.lists(cells, min_size=1, max_size=4), max_size=6))
def test_audacity(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("x") / "a.txt"
    path.write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8", errors="replace")
    holds(read_audacity, path)


@FAST
@given(st.lists(st.tuples(cells, st.sampled_from(["", "a", "retracement", "/", '"'])), max_size=9))
def test_trainset(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("x") / "t.csv"
    rows = [f"NQ,{time},1,{label}" for time, label in points]
    path.write_text("\n".join(["series,timestamp,value,label", *rows]), encoding="utf-8", errors="replace")
    holds(read_trainset, path)


@FAST
@given(
    st.binary(max_size=60), st.sampled_from([read_label_studio, read_doccano, read_audacity, read_trainset])
)
def test_bytes_of_any_kind(tmp_path_factory, content, read):
    path = tmp_path_factory.mktemp("x") / "b"
    path.write_bytes(content)
    holds(read, path)
