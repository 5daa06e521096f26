"""What is written in a foreign format comes back as it was, with nothing to report."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.audacity_file import read_audacity, write_audacity
from moola_data.doccano_file import read_doccano, write_doccano
from moola_data.label_studio import label_studio_annotators, read_label_studio
from moola_data.label_studio_tasks import write_label_studio
from moola_data.schema import Bars, Spans
from moola_data.trainset_file import read_trainset, write_trainset

TYPES = ("consolidation", "retracement")
FAST = settings(deadline=None, max_examples=25)
closed_ends = st.sampled_from(["both", "left"])


@st.composite
def markets(draw, symbols=2):
    """Bars of irregular times, in segments, of one or more symbols; whole seconds."""
    sizes = draw(st.lists(st.integers(1, 25), min_size=symbols, max_size=symbols))
    n = sum(sizes)
    code = np.repeat(np.arange(symbols, dtype=np.int32), sizes)
    steps = st.sampled_from([60, 60, 60, 1, 300, 70_000])
    gap = np.array(draw(st.lists(steps, min_size=n, max_size=n)))
    barrier = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) & (gap > 60)
    barrier |= np.diff(code, prepend=code[0]) > 0
    time = np.concatenate([np.cumsum(gap[code == one]) for one in range(symbols)]) + 1_700_000_000
    price = 100 + np.cumsum(np.where(gap > 60, 1.5, -0.5))
    return Bars(
        time=(time * 10**9).astype("M8[ns]"),
        open=price,
        high=price + 1,
        low=price - 1,
        close=price + np.where(gap == 60, 0.25, -0.25),
        symbol=code,
        segment=np.cumsum(barrier).astype(np.int64),
        symbols=("ES", "NQ")[:symbols],
    )


@st.composite
def markings(draw, bars, overlap=True, annotator=""):
    """Distinct spans inside segments, in any order, with a label, a type or both."""
    n = len(bars)
    starts = draw(st.lists(st.integers(0, n - 1), unique=True, max_size=8))
    label = draw(st.sampled_from(["", "expansion", "grosse Bewegung"]))
    taken, rows = -1, []
    for start in starts if overlap else sorted(starts):
        last = np.flatnonzero(bars.segment == bars.segment[start])[-1]
        end = draw(st.integers(start, min(start + 6, int(last))))
        kind = draw(st.integers(-1 if label else 0, 1))
        # A format of points needs a bar between spans, as two that touch may be called the same.
        if overlap or start > taken + 1:
            rows.append((start, end, kind))
            taken = end
    start, end, kind = np.array(rows, np.int64).reshape(-1, 3).T
    weight = np.ones(len(rows), np.float32)
    # Without a span there is no place for the label.
    return Spans(
        start=start,
        end=end,
        type=kind,
        weight=weight,
        type_names=TYPES,
        annotator=annotator,
        label=label if rows else "",
    )


def same(found, spans):
    """Whether both hold the same spans; files are sorted by bar."""
    order = np.lexsort((spans.end, spans.start))
    back = np.lexsort((found.end, found.start))
    for name in ("start", "end", "type", "weight"):
        np.testing.assert_array_equal(getattr(found, name)[back], getattr(spans, name)[order])
    assert (found.type_names, found.label) == (spans.type_names, spans.label)
    assert found.annotator == spans.annotator


def exact(report, labels):
    assert (report.labels, report.kept, report.is_exact) == (labels, labels, True)


@FAST
@given(st.data())
def test_label_studio_gives_back_everyones_spans(tmp_path_factory, data):
    folder, bars, closed = tmp_path_factory.mktemp("ls"), data.draw(markets()), data.draw(closed_ends)
    one = data.draw(markings(bars, annotator="ann@example.org"))
    two = data.draw(markings(bars, annotator="12"))
    most = data.draw(st.integers(14, 30))
    try:
        count = write_label_studio(folder, bars, spans=[one, two], max_bars=most, closed=closed)
    except ValueError as error:
        if "as spans cover every bar" not in str(error):
            raise
        return
    path = folder / "tasks.json"
    assert count == len(json.loads(path.read_text()))
    assert label_studio_annotators(path) == ("ann@example.org", "12")
    for spans in (one, two):
        found, report = read_label_studio(path, bars, annotator=spans.annotator, closed=closed)
        same(found, spans)
        assert (report.kept, report.count("ignored")) == (len(spans), len(one) + len(two) - len(spans))
        assert {note.action for note in report.notes} <= {"ignored"}


@FAST
@given(st.data())
def test_label_studio_gives_back_a_models_spans(tmp_path_factory, data):
    folder, bars = tmp_path_factory.mktemp("ls"), data.draw(markets())
    spans = data.draw(markings(bars, annotator="jade-7"))
    score = np.linspace(0, 1, len(spans))
    write_label_studio(folder, bars, spans=spans, kind="predictions", score=score, data="csv")
    found, report = read_label_studio(folder / "tasks.json", bars, wanted="predictions")
    same(found, spans)
    exact(report, len(spans))
    ignored, report = read_label_studio(folder / "tasks.json", bars)
    assert (len(ignored), report.count("ignored")) == (0, len(spans))


@FAST
@given(st.data())
def test_trainset_gives_back_spans_that_do_not_touch(tmp_path_factory, data):
    path, bars = tmp_path_factory.mktemp("ts") / "labels.csv", data.draw(markets())
    spans = data.draw(markings(bars, overlap=False))
    write_trainset(path, spans, bars)
    found, report = read_trainset(path, bars)
    same(found, spans)
    exact(report, len(spans))


@FAST
@given(st.data(), closed_ends)
def test_doccano_gives_back_spans(tmp_path_factory, data, closed):
    path, bars = tmp_path_factory.mktemp("dc") / "labels.jsonl", data.draw(markets())
    spans = data.draw(markings(bars))
    write_doccano(path, spans, bars, closed=closed)
    found, report = read_doccano(path, bars, closed=closed)
    same(found, spans)
    exact(report, len(spans))


@FAST
@given(st.data(), closed_ends, st.sampled_from([None, 0.25, 60.0, 1 / 3]))
def test_audacity_gives_back_spans(tmp_path_factory, data, closed, bar_seconds):
    path, bars = tmp_path_factory.mktemp("au") / "labels.txt", data.draw(markets(1))
    spans = data.draw(markings(bars))
    how = {"closed": closed, "bar_seconds": bar_seconds, "origin": bars.time[len(bars) // 2]}
    write_audacity(path, spans, bars, **how)
    found, report = read_audacity(path, bars, **how)
    same(found, spans)
    exact(report, len(spans))


@FAST
@given(st.data())
def test_audacitys_own_microseconds_move_no_span(tmp_path_factory, data):
    path, bars = tmp_path_factory.mktemp("au") / "labels.txt", data.draw(markets(1))
    spans = data.draw(markings(bars))
    how = {"closed": "left", "bar_seconds": 1 / 7}
    write_audacity(path, spans, bars, **how)
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    path.write_text("".join(f"{float(a):.6f}\t{float(b):.6f}\t{name}\n" for a, b, name in rows))
    found, report = read_audacity(path, bars, **how)
    same(found, spans)
    exact(report, len(spans))


@FAST
@given(st.data(), st.integers(14, 30))
def test_tasks_hold_every_bar_once_and_cut_no_span_and_no_segment(tmp_path_factory, data, most):
    folder, bars = tmp_path_factory.mktemp("ls"), data.draw(markets())
    spans = data.draw(markings(bars, overlap=False))
    write_label_studio(folder, bars, spans=spans, max_bars=most)
    tasks = json.loads((folder / "tasks.json").read_text())
    offset = {name: int(np.argmax(bars.symbol == i)) for i, name in enumerate(bars.symbols)}
    pieces = [np.arange(t["bars"]) + t["first_bar"] + offset[t["symbol"]] for t in (x["data"] for x in tasks)]
    assert np.concatenate(pieces).tolist() == list(range(len(bars)))
    for task, piece in zip(tasks, pieces, strict=True):
        assert len(piece) <= most
        assert len(set(bars.segment[piece])) == 1
        np.testing.assert_array_equal(task["data"]["ts"]["close"], bars.close[piece])
        inside = np.isin(spans.start, piece)
        np.testing.assert_array_equal(inside, np.isin(spans.end, piece))
        assert len(task["annotations"][0]["result"]) == inside.sum()


@pytest.mark.parametrize("write", [write_trainset, write_doccano, write_audacity])
def test_what_a_format_cannot_say_is_refused(tmp_path, write):
    bars = Bars(
        time=np.arange(9).astype("M8[m]").astype("M8[ns]"),
        **dict.fromkeys(("open", "high", "low", "close"), np.ones(9)),
        symbol=np.zeros(9, np.int32),
        segment=np.zeros(9, np.int64),
        symbols=("ES",),
    )
    good = Spans(
        start=np.array([1, 4]),
        end=np.array([2, 5]),
        type=np.array([-1, -1]),
        weight=np.ones(2, np.float32),
        type_names=TYPES,
        label="expansion",
    )
    write(tmp_path / "labels", good, bars)
    before = (tmp_path / "labels").read_bytes()
    for change, message in [
        (
            {"weight": np.array([1, 0.5], np.float32)},
            "weight: want 1, as the format has no weights, got 0.5 in row 1",
        ),
        ({"label": ""}, "spans: want a label or a type to write, got neither in row 0"),
        ({"label": "a/b"}, "want printable names without '/' and outer spaces, got 'a/b'"),
        ({"label": "a\tb"}, "want printable names"),
        ({"label": "retracement"}, "spans: want a label that is no type, got 'retracement'"),
        ({"end": np.array([2, 9])}, r"want bars in 0\.\.8, got 4\.\.9 in row 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            write(tmp_path / "labels", good.model_copy(update=change), bars)
    assert (tmp_path / "labels").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
