"""``python -m moola_data``: what it prints and the code it ends with."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from moola_data.__main__ import main


def write(path, n: int = 1_500, **columns):
    rng = np.random.default_rng(0)
    close = 100 + np.cumsum(rng.normal(0, 0.1, n))
    open_ = np.concatenate([close[:1], close[:-1]]) + rng.normal(0, 0.03, n)
    frame = {
        "time": pd.date_range("2024-01-02", periods=n, freq="min"),
        "open": open_,
        "high": np.maximum(open_, close) + rng.exponential(0.05, n),
        "low": np.minimum(open_, close) - rng.exponential(0.05, n),
        "close": close,
    }
    pd.DataFrame({**frame, **columns}).to_csv(path, index=False)
    return str(path)


def test_check_of_good_bars_ends_with_0(tmp_path, capsys):
    assert main(["check", write(tmp_path / "bars.csv")]) == 0
    assert "1,500 bars of 1 symbols break no rule; 0 things to look at" in capsys.readouterr().out


def test_check_lists_what_to_look_at_and_ends_with_1(tmp_path, capsys):
    assert main(["check", write(tmp_path / "bars.csv"), "--tick", "0.25", "--most", "3"]) == 1
    out = capsys.readouterr().out
    assert "off the tick grid" in out
    assert "more" in out


def test_check_lists_violations_and_ends_with_2(tmp_path, capsys):
    assert main(["check", write(tmp_path / "bars.csv", n=20, high=1.0)]) == 2
    out = capsys.readouterr().out
    assert "high < low" in out
    assert "40 violations: these are no bars" in out


@pytest.mark.parametrize(
    ("features", "code"), [("jade", 0), ("origin", 1), ("numpy:ones", 2), ("origami", 2)]
)
def test_audit_ends_with_1_where_a_feature_is_convicted(tmp_path, features, code):
    out = tmp_path / "audit.md"
    assert main(["audit", write(tmp_path / "bars.csv"), "--features", features, "--out", str(out)]) == code
    assert out.exists() == (code < 2)


def test_audit_takes_a_function_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text("def ratio(bars):\n    return bars.close / bars.open\n")
    path = write(tmp_path / "bars.csv")
    command = [sys.executable, "-W", "error", "-m", "moola_data", "audit", path, "--features", "mine:ratio"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| feature_0 |" in done.stdout


def test_card_tells_of_bars_and_labels(tmp_path, capsys):
    pd.DataFrame({"start": [10, 50], "end": [20, 55]}).to_csv(tmp_path / "spans.csv", index=False)
    assert main(["card", write(tmp_path / "bars.csv"), "--spans", str(tmp_path / "spans.csv")]) == 0
    out = capsys.readouterr().out
    assert "1,500" in out
    assert "2 spans" in out


def test_a_card_takes_types_as_the_file_calls_them(tmp_path, capsys):
    table = pd.DataFrame({"start": [10, 50], "end": [20, 55], "type": ["pullback", "breakout"]})
    table.to_csv(tmp_path / "spans.csv", index=False)
    assert main(["card", write(tmp_path / "bars.csv"), "--spans", str(tmp_path / "spans.csv")]) == 0
    out = capsys.readouterr().out
    assert "pullback" in out
    assert "breakout" in out


@pytest.mark.parametrize("command", ["check", "audit", "card"])
def test_a_missing_file_is_one_line_and_2(tmp_path, capsys, command):
    assert main([command, str(tmp_path / "none.csv")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "bars: want a file" in told
