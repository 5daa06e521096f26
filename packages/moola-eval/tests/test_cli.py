import json
import subprocess
import sys

import numpy as np
import pytest

from moola_eval import EvalInput, Report, Spans, choose_threshold, decode, evaluate
from moola_eval.cli import main
from moola_eval.input_files import read_spans, read_truth
from moola_eval.schema import PredictedSpans, Prediction, TrueSpans, Truth

K, N = 30, 24
TYPES = ("consolidation", "retracement")


def made(seed, first=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros((N, K), dtype=bool)
    for i, row in enumerate(mask):
        if i % 4:
            start = rng.integers(0, K - 6)
            row[start : start + rng.integers(3, 7)] = True
    spans = Spans.from_mask(mask)
    table = TrueSpans(
        window=spans.sequence, start=spans.start, end=spans.end, type=rng.integers(-1, 2, len(spans))
    )
    truth = Truth(
        starts=(first + np.arange(N)) * K,
        length=K,
        group=first + np.arange(N) // 2,
        spans=table,
        type_names=TYPES,
    )
    p = np.clip(0.5 * mask + 0.6 * rng.random((N, K)), 0, 1).astype(np.float32)
    return truth, p


def write_truth(path, truth):
    rows = zip(truth.spans.window, truth.spans.start, truth.spans.end, truth.spans.type, strict=True)
    if path.suffix == ".csv":
        lines = [f"{w},{s},{e},{TYPES[k] if k >= 0 else ''}" for w, s, e, k in rows]
        path.write_text("window,start,end,type\n" + "\n".join(lines) + "\n")
        return path
    spans = [
        {"window": int(w), "start": int(s), "end": int(e)} | ({"type": TYPES[k]} if k >= 0 else {})
        for w, s, e, k in rows
    ]
    content = {
        "length": truth.length,
        "starts": truth.starts.tolist(),
        "group": truth.group.tolist(),
        "type_names": TYPES,
        "spans": spans,
    }
    path.write_text(json.dumps(content))
    return path


def write_spans(path, spans):
    rows = zip(spans.sequence, spans.start, spans.end, spans.score.astype(np.float32), strict=True)
    path.write_text("window,start,end,score\n" + "".join(f"{w},{s},{e},{c!s}\n" for w, s, e, c in rows))
    return path


def evaluated(truth, p, spans, **options):
    model = Prediction(
        probability=p,
        spans=PredictedSpans(
            window=spans.sequence,
            start=spans.start,
            end=spans.end,
            score=spans.score.astype(np.float32),
            type=np.full(len(spans), -1),
        ),
        starts=truth.starts,
        group=truth.group,
    )
    return evaluate(EvalInput(prediction=model, truth=truth), seed=0, **options)


@pytest.fixture
def files(tmp_path):
    truth, p = made(1)
    write_truth(tmp_path / "truth.json", truth)
    write_truth(tmp_path / "truth.csv", truth)
    np.savez(tmp_path / "out.npz", probability=p, starts=truth.starts, group=truth.group)
    write_spans(tmp_path / "spans.csv", decode(p, threshold=0.6))
    inner, inner_p = made(2, first=100)
    write_truth(tmp_path / "inner.json", inner)
    np.savez(tmp_path / "inner.npz", probability=inner_p)
    return tmp_path


def call(folder, *words):
    paths = [str(folder / w) if w.endswith((".csv", ".json", ".npz", ".md", ".html")) else w for w in words]
    return main([*paths, "--resamples", "20"])


def test_the_report_is_that_of_evaluate(files):
    code = call(
        files, "--truth", "truth.json", "--spans", "spans.csv", "--outputs", "out.npz", "--report", "r.json"
    )
    truth, p = made(1)
    wanted = evaluated(truth, p, decode(p, threshold=0.6), resamples=20)
    assert code == 0
    assert (files / "r.json").read_text() == wanted.model_dump_json(indent=2) + "\n"


def test_csv_and_json_truth_are_the_same(files):
    common = ("--outputs", "out.npz", "--threshold", "0.6", "--report")
    assert call(files, "--truth", "truth.json", *common, "a.json") == 0
    assert call(files, "--truth", "truth.csv", *common, "b.json") == 0
    assert (files / "a.json").read_text() == (files / "b.json").read_text()


def test_a_threshold_is_chosen_on_inner_files(files):
    inner = ("--inner-truth", "inner.json", "--inner-outputs", "inner.npz", "--train-truth", "inner.json")
    assert call(files, "--truth", "truth.json", "--outputs", "out.npz", *inner, "--report", "r.json") == 0
    report = Report.model_validate_json((files / "r.json").read_text())
    truth, p = made(2, first=100)
    assert report.threshold.threshold == choose_threshold(p, truth).threshold
    assert not report.in_sample
    assert "position_prior" in report.nulls


def test_three_formats_at_once(files):
    words = ("--truth", "truth.json", "--outputs", "out.npz", "--threshold", "0.6", "--title", "<b>mine</b>")
    reports = [word for name in ("r.json", "r.md", "r.html") for word in ("--report", name)]
    assert call(files, *words, *reports) == 0
    assert (files / "r.md").read_text().startswith("# Evaluation")
    assert "&lt;b&gt;mine&lt;/b&gt;" in (files / "r.html").read_text()


def test_without_a_file_the_report_is_printed(files, capsys):
    assert call(files, "--truth", "truth.json", "--outputs", "out.npz", "--threshold", "0.6") == 0
    assert capsys.readouterr().out.startswith("# Evaluation")


def test_without_probabilities_their_metrics_are_left_out(files):
    assert call(files, "--truth", "truth.json", "--spans", "spans.csv", "--report", "r.json") == 0
    report = Report.model_validate_json((files / "r.json").read_text())
    names = {m.name for m in report.metrics}
    assert {"span_f1", "bar_f1", "span_ap"} <= names
    assert not names & {"separation", "bar_auroc", "bar_ap", "bar_brier", "bar_ece", "origin_span_f1"}
    assert any("No probabilities" in note for note in report.notes)
    assert {c.passed for c in report.criteria if c.metric == "origin_span_f1"} == {None}
    truth, p = made(1)
    whole = evaluated(truth, p, decode(p, threshold=0.6), resamples=20)
    assert report.metric("span_f1") == whole.metric("span_f1")


def test_without_probabilities_the_page_still_shows_the_windows(files):
    assert call(files, "--truth", "truth.json", "--spans", "spans.csv", "--report", "r.html") == 0
    page = (files / "r.html").read_text()
    assert page.count("<title>Window ") == 9
    assert "Intersection over union of matched spans" in page
    assert "Frequency against probability" not in page
    assert 'class="line prob"' not in page


def test_spans_without_scores_have_no_average_precision(files):
    lines = (files / "spans.csv").read_text().splitlines()
    (files / "bare.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    assert call(files, "--truth", "truth.json", "--spans", "bare.csv", "--report", "r.json") == 0
    report = Report.model_validate_json((files / "r.json").read_text())
    assert "span_ap" not in {m.name for m in report.metrics}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (["span_f1>=0.0001"], 0),
        (["span_f1 > 0.0001", "bar_f1<=1"], 0),
        (["span_f1>=0.9999"], 1),
        (["bar_f1>0", "onset_mae<0"], 1),
    ],
)
def test_a_requirement_decides_the_exit_code(files, capsys, wanted, code):
    words = [word for bound in wanted for word in ("--require", bound)]
    base = ("--truth", "truth.json", "--outputs", "out.npz", "--threshold", "0.6", "--report", "r.json")
    assert call(files, *base, *words) == code
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(wanted)
    assert ("missed: " in out) == (code == 1)
    assert (files / "r.json").exists()


def test_what_is_undefined_does_not_pass(files):
    (files / "none.csv").write_text("window,start,end,score\n")
    base = ("--truth", "truth.json", "--spans", "none.csv", "--report", "r.json")
    assert call(files, *base, "--require", "onset_mae<100") == 1


TRUTH = ("--truth", "truth.json")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (TRUTH, "--spans or --outputs: want predictions, got neither"),
        ((*TRUTH, "--outputs", "no.npz"), "want a file, got"),
        ((*TRUTH, "--outputs", "out.npz"), "--threshold: want one, or --spans"),
        ((*TRUTH, "--outputs", "out.npz", "--threshold", "nan"), "threshold: want a finite number, got nan"),
        ((*TRUTH, "--outputs", "out.npz", "--threshold", "x"), "argument --threshold: invalid float"),
        (
            (*TRUTH, "--outputs", "out.npz", "--threshold", "0.5", "--low", "0.6"),
            "want at most the threshold",
        ),
        (
            (*TRUTH, "--outputs", "out.npz", "--threshold", "0.5", "--min-length", "0"),
            "--min-length: want 1 or more, got 0",
        ),
        ((*TRUTH, "--spans", "bad.csv"), "bad.csv: end: want start..29, got 2 in row 1"),
        ((*TRUTH, "--spans", "words.csv"), "words.csv: start: want a whole number, got '1.5' in row 0"),
        ((*TRUTH, "--spans", "short.csv"), "short.csv: want 3 cells, got 2 in row 0"),
        ((*TRUTH, "--spans", "columns.csv"), "want columns window, start and end, got no 'end'"),
        ((*TRUTH, "--spans", "odd.json"), "odd.json: spans.0.end: Field required"),
        ((*TRUTH, "--spans", "broken.json"), "broken.json: the file: Invalid JSON"),
        ((*TRUTH, "--spans", "pickle.npz"), "want a .csv or .json file of spans, got '.npz'"),
        ((*TRUTH, "--outputs", "pickle.npz", "--threshold", "0.5"), "want arrays of numbers in NPZ"),
        ((*TRUTH, "--outputs", "extra.npz", "--threshold", "0.5"), "got 'weights'"),
        (
            (*TRUTH, "--outputs", "moved.npz", "--threshold", "0.5"),
            "starts differs from the truth first in row 3",
        ),
        (
            (*TRUTH, "--outputs", "small.npz", "--threshold", "0.5"),
            "truth.json: want 3 windows as predicted, got 24",
        ),
        ((*TRUTH, "--outputs", "high.npz", "--threshold", "0.5"), "probability: want numbers in [0, 1]"),
        (("--truth", "truth.csv", "--spans", "spans.csv"), "truth.csv: want the bars of a window"),
        (
            ("--truth", "truth.csv", "--spans", "spans.csv", "--length", "30"),
            "want both, 1 or more, got None",
        ),
        ((*TRUTH, "--spans", "spans.csv", "--require", "span_f1"), "--require: want METRIC>=NUMBER"),
        ((*TRUTH, "--spans", "spans.csv", "--require", "span_f1>=nan"), "--require: want METRIC>=NUMBER"),
        ((*TRUTH, "--spans", "spans.csv", "--require", "f1>=0.1"), "--require: want a metric of"),
        ((*TRUTH, "--spans", "spans.csv", "--report", "r.pdf"), "--report: want a file that ends in one of"),
        ((*TRUTH, "--spans", "spans.csv", "--report", "no/r.md"), "want a file in a folder that exists"),
        ((*TRUTH, "--inner-truth", "inner.json", "--outputs", "out.npz"), "want both, got one"),
    ],
)
def test_bad_input_is_one_line_and_code_2(files, capsys, words, message):
    (files / "bad.csv").write_text("window,start,end\n0,1,2\n1,5,2\n")
    (files / "words.csv").write_text("window,start,end\n0,1.5,2\n")
    (files / "short.csv").write_text("window,start,end\n0,1\n")
    (files / "columns.csv").write_text("window,start\n0,1\n")
    (files / "odd.json").write_text('{"spans": [{"window": 0, "start": 1}]}')
    (files / "broken.json").write_text("{")
    p = np.full((N, K), 0.5, dtype=np.float32)
    np.savez(files / "pickle.npz", probability=np.array([{}], dtype=object))
    np.savez(files / "extra.npz", probability=p, weights=p)
    np.savez(files / "moved.npz", probability=p, starts=np.arange(N) * K + (np.arange(N) == 3))
    np.savez(files / "small.npz", probability=p[:3])
    np.savez(files / "high.npz", probability=p * 3)
    try:
        code = call(files, *words)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    said = capsys.readouterr().err
    assert said.startswith("moola_eval: ")
    assert said.count("\n") == 1
    assert message in said


def test_spans_keep_their_columns(files):
    table, _ = read_spans(files / "spans.csv")
    _, p = made(1)
    wanted = decode(p, threshold=0.6)
    assert table.window.tolist() == wanted.sequence.tolist()
    np.testing.assert_allclose(table.score, wanted.score, rtol=1e-6)


def test_truth_survives_the_file(files):
    truth, _ = made(1)
    for found in (
        read_truth(files / "truth.json", shape=None),
        read_truth(files / "truth.csv", shape=(N, K), starts=truth.starts, group=truth.group),
    ):
        for name in ("window", "start", "end", "type"):
            assert getattr(found.spans, name).tolist() == getattr(truth.spans, name).tolist()
        assert found.type_names == TYPES
        assert found.group.tolist() == truth.group.tolist()


def test_the_module_runs_as_a_command(files):
    words = [
        "--truth",
        files / "truth.json",
        "--spans",
        files / "spans.csv",
        "--resamples",
        "0",
        "--require",
        "span_f1>=1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "moola_eval", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "missed: span_f1 = " in done.stdout
    assert done.stderr == ""
