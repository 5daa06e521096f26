"""The workflows call make targets that exist, run nothing that can be moved under them, and hold few rights.

`make workflows` checks their schema and their security; `.ci/run` runs it.
"""

import re
from pathlib import Path

import pytest
from tools.members import list_members

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_there_is_one_workflow_for_checks_and_one_for_releases():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_every_make_target_that_a_workflow_calls_exists(path):
    called = re.findall(r"(?:run: |\$\()make(?: --[a-z]+)* ([a-z]+)", path.read_text())
    assert called
    assert set(called) <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(path):
    used = re.findall(r"uses: *(.*)", path.read_text())
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_has_no_rights_of_its_own_and_names_no_secret(path):
    text = path.read_text()
    assert "\npermissions: {}\n" in text
    assert "secrets" not in text
    assert "concurrency:" in text


def test_an_identity_is_given_to_one_job_which_checks_out_nothing():
    assert all(
        path.read_text().count("id-token: write") == (path.name == "release.yml") for path in WORKFLOWS
    )
    jobs = re.split(
        r"^  (?=[a-z]+:)", (ROOT / ".github/workflows/release.yml").read_text(), flags=re.MULTILINE
    )
    publish = [job for job in jobs if "id-token: write" in job]
    assert len(publish) == 1
    assert "actions/checkout" not in publish[0]
    assert "environment: release" in publish[0]


def test_the_gate_needs_every_other_job():
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    jobs = re.findall(r"^  ([a-z]+):", text.split("\njobs:\n")[1], flags=re.MULTILINE)
    needed = re.search(r"gate:.*?needs: \[(.*?)\]", text, flags=re.DOTALL)
    assert set(needed.group(1).split(", ")) == set(jobs) - {"gate"}


def test_every_package_has_its_wheel_tried_by_the_whole_run():
    tried = re.search(r"for package in (.*); do", (ROOT / ".ci/run").read_text()).group(1)
    assert tried.split() == list(list_members(ROOT))
