"""The page of benchmarks: what is run, what is kept, what the page says of it. No benchmark runs here."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLAIM = 'claim = "adding numbers"\n[[side]]\nname = "{name}"\nscript = "ours.py"\nrequires = []\n'


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The module, on two claims of its own, with a driver that only counts."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("page")
    for name in ("claims", "sides", "docs/benchmarks"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("eval_sum", "data_sum"):
        (tmp_path / "claims" / f"{name}.toml").write_text(CLAIM.format(name=name))
    (tmp_path / "sides" / "ours.py").write_text("from numbers_made import x\n")
    (tmp_path / "sides" / "numbers_made.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "CLAIMS", tmp_path / "claims")
    monkeypatch.setattr(module, "SIDES", tmp_path / "sides")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "docs/benchmarks")
    monkeypatch.setattr(module, "PAGE", tmp_path / "docs/benchmarks.md")
    module.ran = []

    def run(claim, rounds, seed):
        name = claim["side"][0]["name"]
        module.ran.append(name)
        if name in module.broken:
            raise RuntimeError("side ended with code 1")
        row = {"median_ms": 2.0, "min_ms": 1.5, "ratio": 1.0, "peak_mib": 30.0, "versions": {"ours": "0.1.0"}}
        rows = [row | {"side": name}, row | {"side": f"{name} (A/A)", "ratio": 1.07}]
        return {"claim": claim["claim"], "machine": "made up", "rounds": rounds, "seed": seed, "rows": rows}

    module.broken = set()
    monkeypatch.setattr(module.driver, "run", run)
    monkeypatch.setattr(module, "commit", lambda: "abc")
    yield module
    for name in ("page", "driver"):
        sys.modules.pop(name)


def test_a_claim_with_its_result_is_not_run_again(page):
    assert page.main(["--rounds", "2"]) == 0
    assert page.main(["--rounds", "2"]) == 0
    assert sorted(page.ran) == ["data_sum", "eval_sum"]


def test_other_rounds_or_a_changed_neighbour_of_a_side_are_run_anew(page):
    page.main(["--rounds", "2", "--only", "eval"])
    page.main(["--rounds", "3", "--only", "eval"])
    (page.SIDES / "numbers_made.py").write_text("x = 2\n")
    assert "has changed since" in page.page()
    page.main(["--rounds", "3", "--only", "eval"])
    assert page.ran == ["eval_sum"] * 3
    assert "has changed since" not in page.page()


def test_only_runs_what_begins_so_and_the_rest_says_not_run(page):
    page.main(["--only", "data"])
    assert page.ran == ["data_sum"]
    text = page.PAGE.read_text()
    assert text.count("Not run.") == 1
    assert "| data_sum (A/A) | ours 0.1.0 | 2 | 1.5 | 1.07 | 30 |" in text


def test_a_side_that_fails_does_not_stop_the_others_and_is_told(page, capsys):
    page.broken = {"data_sum"}
    assert page.main([]) == 1
    assert sorted(page.ran) == ["data_sum", "eval_sum"]
    assert "data_sum: not run" in capsys.readouterr().err
    assert not (page.RESULTS / "data_sum.json").exists()
    assert json.loads((page.RESULTS / "eval_sum.json").read_text())["rounds"] == 15


def test_an_unknown_beginning_is_refused_in_one_line(page, capsys):
    with pytest.raises(SystemExit):
        page.main(["--only", "nothing"])
    assert "--only: want the beginning of one of" in capsys.readouterr().err
    assert not page.ran


def test_the_committed_page_is_what_its_results_say(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("page")
    try:
        assert (ROOT / "docs" / "benchmarks.md").read_text() == module.page()
    finally:
        for name in ("page", "driver"):
            sys.modules.pop(name)
