"""A package of one's own, built and installed as a user does, offers its pieces to all five by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from moola_data import audit, load_sample
from moola_data.__main__ import main as data_command
from moola_data.labellers import label_bars
from moola_data.mirror import mirror_bars
from moola_eval.bars import bar_f1
from moola_eval.forecast import Forecast
from moola_eval.registry import report_metric
from moola_eval.schema import TrueSpans, Truth
from moola_eval.spans import Spans
from moola_eval.targets import Targets
from moola_losses import resolve_balancer
from moola_losses.testing import check_balancer
from moola_models import Jade, compact, load_model, save_model
from moola_models.registry import resolve_head
from moola_train.recipes.commands import run

HERE = Path(__file__).parent
CONFIG = """
base = "plain"
[data]
length = 20
stride = 20
[model]
hidden = 8
tasks = ["span", "countdown"]
[model.heads.span]
kind = "example_neighbours"
reach = 2
[losses.span]
kind = "bar_bce"
[fit]
epochs = 2
batch_size = 8
selection = "span_loss"
[evaluation]
resamples = 20
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the plug-in is installed into, on the path of this process while the tests run."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("site")
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "want uv on the path, see CONTRIBUTING.md"
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    done = subprocess.run(
        [*command, "--target", target, source], cwd=source, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(target)
        yield target


@pytest.fixture(scope="module")
def market(installed, tmp_path_factory):
    """A folder with bars, the spans that the plug-in's labeller finds, and a configuration of its pieces."""
    folder = tmp_path_factory.mktemp("market")
    rng = np.random.default_rng(0)
    n = 1500
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.001, (2, n)))
    prices = {
        "time": pd.date_range("2024-01-01", periods=n, freq="min"),
        "open": open_,
        "high": np.maximum(open_, close) * (1 + wick[0]),
        "low": np.minimum(open_, close) * (1 - wick[1]),
        "close": close,
    }
    pd.DataFrame(prices).to_csv(folder / "bars.csv", index=False)
    words = ["label", str(folder / "bars.csv"), "--labeller", "example_runs"]
    assert data_command([*words, "--out", str(folder / "spans.csv")]) == 0
    (folder / "run.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def finished(market, installed):
    """A run of `moola train` in a process that has the plug-in on its path."""
    words = ["train", "--bars", "bars.csv", "--spans", "spans.csv", "--config", "run.toml", "--run", "run"]
    words += ["--data.feature-set", "example_candle", "--balancer.kind", "example_focus"]
    words += ["--balancer.power", "0.5"]
    code = "import sys; from moola_train.recipes.cli import main; sys.exit(main())"
    path = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=market,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return market / "run"


def test_the_installed_package_offers_what_its_project_file_says(installed):
    wanted = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["entry-points"]
    assert len(wanted) == 5
    for group, points in wanted.items():
        found = {p.name: p.value for p in entry_points(group=group)}
        assert points.items() <= found.items()


def test_the_feature_set_is_acquitted_by_the_audit(installed):
    table = audit("example_candle", load_sample(), prefixes=20, starts=20)
    assert dict(zip(table["feature"], table["verdict"], strict=True)) == {
        "close_place": "clean",
        "range_growth": "clean",
    }


def test_the_labeller_marks_runs_of_closes_of_one_symbol(installed):
    bars = load_sample()
    spans = label_bars(bars, "example_runs")
    assert len(spans) > 100
    for start, end in zip(spans.start, spans.end, strict=True):
        steps = np.diff(bars.close[start - 1 : end + 1])
        assert (steps > 0).all() or (steps < 0).all()
        assert len(steps) >= 5
        assert bars.segment[start - 1] == bars.segment[end]


def test_runs_upside_down_are_the_same_spans(installed):
    bars = load_sample()
    there, back = label_bars(bars, "example_runs"), label_bars(mirror_bars(bars), "example_runs")
    assert np.array_equal(there.start, back.start)
    assert np.array_equal(there.end, back.end)


def test_the_balancer_keeps_every_promise_of_the_protocol(installed):
    config = resolve_balancer({"kind": "example_focus", "power": 0.5})
    assert {"json", "absent", "each_scale", "state"} <= set(check_balancer(config))


def test_the_head_reads_its_neighbours_and_comes_back_from_a_checkpoint(installed, tmp_path):
    head = resolve_head({"kind": "example_neighbours", "reach": 2})
    model = Jade(compact(input_size=2, heads=(head,)), seed=0).eval()
    z = torch.zeros(1, 9, 2 * model.config.hidden)
    there = z.clone()
    there[0, 4] = 1
    moved = (model.heads(there).span != model.heads(z).span)[0]
    assert moved.nonzero().flatten().tolist() == [2, 3, 4, 5, 6]
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model").eval()
    x = torch.randn(2, 9, 2)
    assert torch.equal(model(x).span, again(x).span)


def test_the_metric_counts_the_first_bars(installed):
    spans = TrueSpans(
        window=np.array([0, 0, 1]), start=np.array([1, 6, 0]), end=np.array([3, 8, 4]), type=np.full(3, -1)
    )
    truth = Truth(starts=np.array([0, 10]), length=10, group=np.arange(2), spans=spans, type_names=())
    mask = np.zeros((2, 10), bool)
    mask[0, 1] = mask[0, 7] = mask[1, 0] = True
    score = report_metric("example_onset_seen")(Forecast(Spans.from_mask(mask), mask), Targets.of(truth))
    assert (score.name, score.value) == ("example_onset_seen", 2 / 3)
    assert score.counts == {"total": 2.0, "n_spans": 3.0}
    assert bar_f1(Targets.of(truth).mask, mask)["precision"] == 1


def test_a_run_of_the_command_trains_with_all_its_pieces(finished):
    config = json.loads((finished / "config.json").read_text())
    assert config["balancer"] == config["balancer"] | {"kind": "example_focus", "power": 0.5}
    saved = json.loads((finished / "model" / "config.json").read_text())
    assert '"example_neighbours"' in json.dumps(saved)
    decision = json.loads((finished / "decision.json").read_text())
    assert decision["feature_set"] == "example_candle"
    rows = [json.loads(line) for line in (finished / "records.jsonl").read_text().splitlines()]
    assert {row["task"] for row in rows if row["name"] == "loss"} >= {"span", "countdown"}


def test_the_finished_run_marks_bars(finished, market, tmp_path):
    out = tmp_path / "marks.csv"
    assert run(["predict", str(market / "bars.csv"), "--run", str(finished), "--out", str(out)]) == 0
    assert {"start", "end"} <= set(pd.read_csv(out).columns)


def test_without_the_package_its_run_says_what_is_missing(
    finished, market, installed, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(installed)])
    words = [
        "predict",
        str(market / "bars.csv"),
        "--run",
        str(finished),
        "--out",
        str(tmp_path / "marks.csv"),
    ]
    assert run(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "example_neighbours" in told
