"""Every line of the first system's record has claims or a reason, and every claim has a line and numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from moola_train.recipes.proxy_trial import proxy_trial
from moola_train.recipes.study import Study, load_study, study_names
from moola_train.recipes.study_command import write_claims
from moola_train.recipes.study_coverage import coverage, coverage_table, parse_coverage
from moola_train.recipes.trial import trial

RECORD = [name for name in study_names() if load_study(name).function != "journal_trial"]


def claims_of(names: list[str]) -> set[str]:
    """Those of the record; what we say of ourselves is no line of it."""
    return {claim.id for name in names for claim in load_study(name).claim if claim.where != "ours"}


def test_every_id_of_a_line_is_a_claim_and_every_claim_has_a_line() -> None:
    named = {claim for line in coverage() for claim in line.claims}
    assert named - claims_of(RECORD) == set()
    assert claims_of(RECORD) - named == set()


def test_a_claims_id_begins_with_its_study() -> None:
    for name in study_names():
        ids = [claim.id for claim in load_study(name).claim]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(rf"{name}\.\d+[a-zA-Z]*", one) for one in ids)


def test_no_row_of_the_record_is_left_out() -> None:
    places = {line.where for line in coverage()}
    rows = {f"9 #{row}" for row in range(1, 32)} | {f"5.4 fix {fix}" for fix in range(1, 6)}
    assert rows | {"5.4 option", "5.5", "9.1"} | {f"10.{part}" for part in range(7)} <= places


def test_a_line_without_claims_and_reason_is_refused() -> None:
    line = '[[line]]\nwhere = "1"\nsays = "x"\n'
    assert parse_coverage(line + 'untestable = "private"')[0].claims == ()
    with pytest.raises(ValueError, match="want an id or a reason"):
        parse_coverage(line)
    with pytest.raises(ValueError, match="want different ids"):
        parse_coverage(line + 'claims = ["a.1", "a.1"]')
    with pytest.raises(ValueError, match="coverage: want TOML"):
        parse_coverage("[[line")


def test_the_page_of_claims_tells_verdicts_line_by_line(tmp_path: Path) -> None:
    first = load_study("stall").claim[0]
    row = {"study": "stall", "claim": first.id, "where": first.where, "says": first.says, "seeds": 5}
    row |= {"verdict": "refuted", "measured": "m", "reason": "because"}
    other = row | {"claim": "stall.2", "verdict": "undecided", "reason": "who knows"}
    (tmp_path / "stall.claims.json").write_text(json.dumps([row, other]))
    text = write_claims(tmp_path).read_text()
    assert "refuted: because" in text
    assert "undecided" in text
    assert "who knows" not in text
    assert f"| [{first.id}](stall.md) | {first.where} |" in text
    assert f"[{first.id}](stall.md) refuted" in text
    assert "stall.4 not run" in text
    assert "[stall.4]" not in text  # its page may not be there
    assert len(coverage_table({})) == len(coverage()) + 2


def asked(study: Study) -> set[str]:
    """Names of numbers that claims ask for, without the epoch that a series is told at."""
    conditions = [c for claim in study.claim for c in (*claim.expects, *claim.unless)]
    names = [n for c in conditions for n in (c.metric, c.less_metric, c.over) if n is not None]
    return {re.sub(r"@\d+$", "@1", name) for name in names}


def test_every_condition_of_the_trained_studies_asks_for_a_number_that_a_trial_tells() -> None:
    source = {"kind": "one_expansion", "base": 12, "fresh": 4, "split": "row"}
    run = {
        "fit": {"epochs": 1, "batch_size": 8, "balancer_learning_rate": 0.01},
        "balancer": {"kind": "origin_uncertainty"},
    }
    found = trial(source=source, run=run, seed=0)
    for name in RECORD:
        if load_study(name).function == "trial":
            assert asked(load_study(name)) - found.keys() == set(), name
    told = proxy_trial(source=source, run={"method": "grid"}, seed=0)
    assert asked(load_study("proxies")) - told.keys() == set()
