"""The searches and sweeps that want an extra say which, before anything is written."""

import sys

import pytest

from moola_train.optuna_study import optimise
from moola_train.ray_sweep import ray_sweep


def test_a_missing_extra_is_named_and_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'moola-train\[optuna\]'"):
        optimise("json:loads", {}, tmp_path / "study", metric="x", trials=1)
    with pytest.raises(ValueError, match=r"pip install 'moola-train\[ray\]'"):
        ray_sweep("json:loads", [{"s": "1"}], tmp_path / "sweep")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [{"trials": 0}, {"workers": 0}, {"fixed": {"x": 1}}])
def test_arguments_out_of_range_are_refused(given, tmp_path):
    with pytest.raises(ValueError, match=f"{next(iter(given))}: want"):
        optimise("json:loads", {"x": None}, tmp_path / "s", **({"metric": "m", "trials": 1} | given))
