"""Metrics that another package offers, in a report by name."""

from types import SimpleNamespace

import numpy as np
import pytest

from moola_eval import EvalInput, Truth, decode, evaluate
from moola_eval.cli import main
from moola_eval.schema import TrueSpans

N, K = 12, 20
STRANGER = """
from moola_eval.bars import bar_f1
from moola_eval.score import mean

def copy(forecast, targets):
    return bar_f1(targets.mask, forecast.mask)

def nothing(forecast, targets):
    return None

def number(forecast, targets):
    return 0.5

def short(forecast, targets):
    return bar_f1(targets.mask[1:], forecast.mask[1:])

three = 3
"""


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Puts a package on the path that offers `stranger_metrics:<target>` under a name."""

    def offered(target, name="stranger"):
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        text = f"[moola_eval.metrics]\n{name} = stranger_metrics:{target}\n"
        (info / "entry_points.txt").write_text(text)
        (tmp_path / "stranger_metrics.py").write_text(STRANGER)
        monkeypatch.syspath_prepend(tmp_path)

    return offered


def truth(first=0):
    window = np.arange(N)
    start = np.arange(N) % 7 + 3
    spans = TrueSpans(window=window, start=start, end=start + 4, type=np.full(N, -1))
    return Truth(starts=first + window * K, length=K, group=first + window, spans=spans, type_names=())


@pytest.fixture(scope="module")
def data():
    probability = np.random.default_rng(0).random((N, K), np.float32)
    spans = decode(probability, threshold=0.6)
    table = SimpleNamespace(
        window=spans.sequence, start=spans.start, end=spans.end, score=spans.score.astype(np.float32)
    )
    table.type = np.full(len(spans), -1)
    outputs = dict.fromkeys(("pointers", "countdown", "type_probability"))
    labels = truth()
    model = SimpleNamespace(
        probability=probability, spans=table, starts=labels.starts, group=labels.group, **outputs
    )
    return EvalInput(prediction=model, truth=labels)


def test_an_offered_metric_gets_chance_levels_interval_and_skill_as_ours_do(data, offer):
    offer("copy")
    report = evaluate(data, seed=0, train_truth=truth(10**6), metrics=["stranger"], resamples=50)
    by_name = {metric.name: metric for metric in report.metrics}
    assert by_name["stranger"].model_copy(update={"name": "bar_f1"}) == by_name["bar_f1"]
    assert by_name["stranger"].interval is not None
    assert "position_prior" in by_name["stranger"].nulls


def test_a_metric_without_its_output_is_left_out(data, offer):
    offer("nothing")
    report = evaluate(data, seed=0, metrics=["stranger"], resamples=0)
    assert "stranger" not in {metric.name for metric in report.metrics}


@pytest.mark.parametrize(
    ("target", "name", "asked", "error", "message"),
    [
        ("copy", "stranger", ["magic"], ValueError, "metrics: want stranger, got 'magic'"),
        ("copy", "stranger", ["stranger"] * 2, ValueError, "metrics: want every name once, got 'stranger'"),
        ("copy", "span_f1", ["span_f1"], ValueError, "want a name that no metric of the report has"),
        ("three", "stranger", ["stranger"], TypeError, r"moola_eval\.metrics:stranger: want a function"),
        ("number", "stranger", ["stranger"], TypeError, "metric 'stranger': want a Score or None, got float"),
        ("short", "stranger", ["stranger"], ValueError, f"metric 'stranger': want {N} rows, got {N - 1}"),
    ],
)
def test_what_is_no_metric_is_refused(data, offer, target, name, asked, error, message):
    offer(target, name)
    with pytest.raises(error, match=message):
        evaluate(data, seed=0, metrics=asked, resamples=0)


def test_the_command_reports_and_gates_by_it(offer, tmp_path, capsys):
    offer("copy")
    (tmp_path / "truth.csv").write_text("window,start,end\n0,2,5\n1,3,6\n")
    words = ["--truth", str(tmp_path / "truth.csv"), "--spans", str(tmp_path / "truth.csv")]
    words += ["--windows", "2", "--length", "10", "--resamples", "0"]
    assert main([*words, "--metric", "stranger", "--require", "stranger>=1"]) == 0
    assert "| stranger |" in capsys.readouterr().out
    assert main([*words, "--metric", "magic"]) == 2
    told = capsys.readouterr().err
    assert "metrics: want stranger, got 'magic'" in told
    assert told.count("\n") == 1
