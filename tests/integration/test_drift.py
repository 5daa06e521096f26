"""Drift is told where features have moved, and not where they have not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moola_train.recipes.commands import run
from moola_train.recipes.drift import compare, psi, remember

NAMES = ("a", "b")


def matrix(seed: int, n: int = 2000, *, shift: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    values[:, 1] += shift
    return values


def trained():
    return remember(matrix(0), names=NAMES, feature_set="test")


def test_bars_of_the_same_distribution_have_not_drifted():
    report = compare(matrix(1, 1000), trained())
    assert not report.drifted
    assert report.pooled < 0.1
    assert "none of 2 features" in str(report)


def test_what_has_moved_is_named_and_what_has_not_is_not():
    report = compare(matrix(1, 1000, shift=1.5), trained())
    assert [feature.name for feature in report.drifted] == ["b"]
    assert str(report).startswith("WARNING")
    assert report.features[0].psi < 0.1 < 0.25 < report.features[1].psi


def test_the_index_grows_with_the_shift():
    found = [compare(matrix(1, shift=s), trained()).features[1].psi for s in (0, 0.5, 1, 2)]
    assert found == sorted(found)


def test_the_index_is_that_of_its_definition():
    rng = np.random.default_rng(3)
    now, before = rng.integers(0, 50, 10), rng.integers(1, 500, 10)
    total = 0.0
    for x, y in zip(now, before, strict=True):
        p, q = (x + 0.5) / (now.sum() + 5), (y + 0.5) / (before.sum() + 5)
        total += (p - q) * np.log(p / q)
    assert psi(now, before) == pytest.approx(total)
    assert psi(now, before) > 0
    assert psi(before, before) == 0


def test_a_tenth_of_so_few_bars_is_chance_and_no_drift():
    drifted = sum(len(compare(matrix(seed, 15), trained()).drifted) for seed in range(40))
    assert drifted <= 2  # of 80


def test_what_wanders_in_training_may_wander_later():
    slow = np.cumsum(np.random.default_rng(0).normal(size=(3000, 1)), axis=0).astype(np.float32)
    report = compare(slow[1000:1200], remember(slow, names=("a",), feature_set="test"))
    assert report.features[0].psi > 0.25
    assert not report.drifted


def test_bars_without_finite_features_are_left_out_and_counted():
    values = matrix(1)
    values[3, 0] = np.nan
    report = compare(values, trained())
    assert (report.bars, report.not_finite) == (1999, 1)
    assert "1 bars not finite" in str(report)
    with pytest.raises(ValueError, match="want a bar with finite features"):
        compare(values[3:4], trained())
    with pytest.raises(ValueError, match="in row 3"):
        remember(values, names=NAMES, feature_set="test")


def test_other_features_are_refused():
    with pytest.raises(ValueError, match="want 2 features, got 1"):
        compare(matrix(0)[:, :1], trained())


def test_a_feature_of_one_value_is_no_fault_until_it_moves():
    one = np.ones((100, 1), np.float32)
    memory = remember(one, names=("a",), feature_set="test")
    assert not compare(one, memory).drifted
    assert compare(one + 1, memory).drifted


def test_predict_tells_of_drift_and_writes_it_down(finished, market, other_bars, tmp_path, capsys):
    table = other_bars(300, seed=9)
    still = table.assign(high=table[["open", "close"]].max(axis=1), low=table[["open", "close"]].min(axis=1))
    for name, bars in (("same", other_bars(300, seed=8)), ("still", still)):
        bars.to_csv(tmp_path / f"{name}.csv", index=False)
        out = tmp_path / f"{name}_spans.csv"
        assert run(["predict", str(tmp_path / f"{name}.csv"), "--run", str(finished), "--out", str(out)]) == 0
        told = capsys.readouterr().err
        found = json.loads((tmp_path / f"{name}_spans.csv.drift.json").read_text())
        assert any(f["drifted"] for f in found["features"]) == ("WARNING: drift" in told)
        assert ("WARNING: drift" in told) == (name == "still")


def test_a_run_that_remembers_nothing_says_so(finished, market, tmp_path, capsys):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    (copy / "drift.json").unlink()
    out = tmp_path / "spans.csv"
    assert run(["predict", str(market / "bars.csv"), "--run", str(copy), "--out", str(out)]) == 0
    assert "drift: not checked" in capsys.readouterr().err
    (copy / "drift.json").write_text("{}")
    assert run(["predict", str(market / "bars.csv"), "--run", str(copy), "--out", str(out)]) == 2
    assert "drift.json" in capsys.readouterr().err
