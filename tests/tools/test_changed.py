"""Which packages a change touches, told from commits that were made up for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tools.changed import changed_files, main, touched_packages
from tools.commands import RefusedError
from tools.members import list_members

ROOT = Path(__file__).parents[2]
ALL = ["moola-eval", "moola-losses", "moola-train"]


def touched(root, git, *paths):
    """Commit a line more in each path, on a branch of its own; return what is touched since main."""
    git(root, "checkout", "--quiet", "-b", "change")
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + "# more\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Change")
    return touched_packages(root, changed_files(root, "main"))


def test_a_package_that_nobody_requires_is_touched_alone(workspace, git):
    assert touched(workspace, git, "packages/moola-eval/src/moola_eval/new.py") == ["moola-eval"]


def test_a_package_that_an_extra_requires_touches_its_dependant(workspace, git):
    assert touched(workspace, git, "packages/moola-losses/README.md") == ["moola-losses", "moola-train"]


def test_a_dependant_does_not_touch_what_it_requires(workspace, git):
    assert touched(workspace, git, "packages/moola-train/CHANGELOG.md") == ["moola-train"]


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "tests/test_whole.py", "new/file.txt", "packages/moola-new/x.py"]
)
def test_a_file_outside_the_packages_touches_all(workspace, git, path):
    assert touched(workspace, git, path, "packages/moola-eval/README.md") == ALL


def test_no_change_touches_nothing(workspace):
    assert touched_packages(workspace, changed_files(workspace, "main")) == []


def test_what_happened_on_the_base_meanwhile_does_not_count(workspace, git):
    git(workspace, "branch", "later")
    (workspace / "README.md").write_text("Another.\n")
    git(workspace, "commit", "--quiet", "--all", "--message", "On main")
    git(workspace, "checkout", "--quiet", "later")
    assert touched(workspace, git, "packages/moola-eval/x.py") == ["moola-eval"]


def test_a_file_that_moves_between_packages_touches_both(workspace, git):
    git(workspace, "checkout", "--quiet", "-b", "change")
    git(workspace, "mv", "packages/moola-train/CHANGELOG.md", "packages/moola-eval/OLD.md")
    git(workspace, "commit", "--quiet", "--message", "Move")
    assert touched_packages(workspace, changed_files(workspace, "main")) == ["moola-eval", "moola-train"]


def test_work_that_is_not_committed_counts(workspace):
    (workspace / "packages/moola-eval/odd näme.py").write_text("")
    (workspace / "packages/moola-train/CHANGELOG.md").write_text("")
    assert touched_packages(workspace, changed_files(workspace, "main")) == ["moola-eval", "moola-train"]


def test_a_base_that_does_not_exist_is_refused(workspace):
    with pytest.raises(RefusedError, match=r"BASE: want a branch.*'nowhere'"):
        changed_files(workspace, "nowhere")


def test_the_command_prints_one_json_list(workspace, git, monkeypatch, capsys):
    touched(workspace, git, "README.md")
    monkeypatch.chdir(workspace)
    assert main(["--json", "--", "main"]) == 0
    assert json.loads(capsys.readouterr().out) == ALL


def test_in_this_repository_train_requires_every_other_package():
    members = list_members(ROOT)
    for name in members:
        expected = sorted({name, "moola-train"})
        assert touched_packages(ROOT, [f"packages/{name}/README.md"]) == expected


def test_it_runs_as_a_module_from_the_root():
    command = [sys.executable, "-m", "tools.changed", "--json", "--", "HEAD"]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert set(json.loads(out)) <= set(list_members(ROOT))
