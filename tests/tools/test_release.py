"""A release happens whole or not at all. Building is short here; the real one is in test_rehearsal.py."""

import datetime
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tools.api import may_break
from tools.commands import RefusedError
from tools.members import bounds_around, find_member, list_tags
from tools.release import Steps, main, release

DAY = datetime.date(2026, 2, 3)
LOSSES, TRAIN = "packages/moola-losses/", "packages/moola-train/"


def build(root, member, out):
    """Leave one file, as the real builder leaves three."""
    out.mkdir(exist_ok=True)
    path = out / f"{member.name}-{member.version}.txt"
    path.write_text("built")
    return [path]


def no_breaks(root, member, tag):
    return []


STEPS = Steps(build=build, compare=no_breaks)


def state(root, git):
    """All that a release may change: branches, tags, worktrees, the tree, and what was built."""
    files = {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    return git(root, "show-ref"), git(root, "status", "--porcelain"), git(root, "worktree", "list"), files


def text(root, path):
    return (root / path).read_text()


def test_a_release_bumps_tags_and_moves_the_changelog_in_one_commit(workspace, git):
    before = git(workspace, "rev-parse", "HEAD")
    assert release(workspace, "moola-eval", bump="minor", date=DAY, steps=STEPS) == "moola-eval-v0.2.0"
    assert git(workspace, "rev-parse", "HEAD^") == before
    assert git(workspace, "rev-parse", "moola-eval-v0.2.0^{commit}") == git(workspace, "rev-parse", "main")
    assert git(workspace, "status", "--porcelain") == ""
    assert git(workspace, "diff", "--name-only", before).split() == [
        "packages/moola-eval/CHANGELOG.md",
        "packages/moola-eval/pyproject.toml",
    ]
    assert 'version = "0.2.0" # raised by a release' in text(workspace, "packages/moola-eval/pyproject.toml")
    assert "## Unreleased\n\n## 0.2.0 - 2026-02-03\n" in text(workspace, "packages/moola-eval/CHANGELOG.md")
    assert "- The first thing" in git(workspace, "tag", "--list", "--format=%(contents)", "moola-eval-v0.2.0")
    assert text(workspace, "dist/moola-eval-0.2.0.txt") == "built"


@pytest.mark.parametrize(("bump", "version"), [("major", "1.0.0"), ("minor", "0.2.0"), ("patch", "0.1.1")])
def test_the_bound_of_a_dependant_always_admits_the_new_version(workspace, bump, version):
    release(workspace, "moola-losses", bump=bump, date=DAY, steps=STEPS)
    extras = tomllib.loads(text(workspace, f"{TRAIN}pyproject.toml"))["project"]["optional-dependencies"]
    assert Version(version) in Requirement(extras["recipes"][0]).specifier
    assert extras["recipes"][1] == "six"


def test_a_bound_that_moves_is_told_in_the_changelog_of_the_dependant(workspace):
    release(workspace, "moola-losses", bump="minor", date=DAY, steps=STEPS)
    assert '"moola-losses>=0.2,<0.3"' in text(workspace, f"{TRAIN}pyproject.toml")
    assert "### Changed\n\n- Requires moola-losses 0.2." in text(workspace, f"{TRAIN}CHANGELOG.md")


def test_a_bound_that_admits_the_version_stays(workspace):
    before = text(workspace, f"{TRAIN}pyproject.toml"), text(workspace, f"{TRAIN}CHANGELOG.md")
    release(workspace, "moola-losses", bump="patch", date=DAY, steps=STEPS)
    assert before == (text(workspace, f"{TRAIN}pyproject.toml"), text(workspace, f"{TRAIN}CHANGELOG.md"))


def test_a_dependant_waits_for_the_release_of_what_it_requires(workspace):
    with pytest.raises(RefusedError, match=r"moola-train requires moola-losses>=0\.1,<0\.2: want a released"):
        release(workspace, "moola-train", bump="minor", date=DAY, steps=STEPS)
    release(workspace, "moola-losses", bump="none", date=DAY, steps=STEPS)
    assert release(workspace, "moola-train", bump="minor", date=DAY, steps=STEPS) == "moola-train-v0.2.0"


def test_the_first_release_may_keep_the_version_and_the_second_may_not(workspace):
    assert release(workspace, "moola-eval", bump="none", date=DAY, steps=STEPS) == "moola-eval-v0.1.0"
    with pytest.raises(RefusedError, match="want major, minor or patch"):
        release(workspace, "moola-eval", bump="none", date=DAY, steps=STEPS)


def test_tags_of_another_package_with_the_same_beginning_are_not_its_own(workspace, git):
    git(workspace, "tag", "moola-eval-more-v0.9.0")
    git(workspace, "tag", "moola-eval-v0.9.0")
    git(workspace, "tag", "moola-eval-v0.10.0")
    assert list_tags(workspace, "moola-eval") == ["moola-eval-v0.10.0", "moola-eval-v0.9.0"]


def test_a_dry_run_builds_and_changes_nothing(workspace, git, capsys):
    before = state(workspace, git)
    built = []

    def watched(root, member, out):
        built.append(str(member.version))
        return build(root, member, out)

    steps = Steps(build=watched, compare=no_breaks)
    release(workspace, "moola-losses", bump="minor", date=DAY, dry_run=True, steps=steps)
    assert (built, state(workspace, git)) == (["0.2.0"], before)
    assert '+version = "0.2.0"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [RefusedError("the wheel's tests fail"), OSError("disk full"), KeyboardInterrupt()]
)
def test_a_build_that_fails_changes_nothing(workspace, git, error):
    before = state(workspace, git)

    def fail(root, member, out):
        build(root, member, out)
        raise error

    with pytest.raises(type(error)):
        release(workspace, "moola-losses", bump="minor", date=DAY, steps=Steps(build=fail, compare=no_breaks))
    assert state(workspace, git) == before


def test_a_build_that_edits_tracked_files_is_refused(workspace, git):
    before = state(workspace, git)

    def careless(root, member, out):
        (root / "README.md").write_text("Edited by the build.\n")
        return build(root, member, out)

    with pytest.raises(RefusedError, match="want a tree as committed"):
        release(
            workspace, "moola-losses", bump="minor", date=DAY, steps=Steps(build=careless, compare=no_breaks)
        )
    assert state(workspace, git) == before


def test_a_branch_that_moved_meanwhile_keeps_its_commits_and_gets_no_tag(workspace, git):
    def meanwhile(root, member, out):
        (workspace / "README.md").write_text("Somebody else's work.\n")
        git(workspace, "commit", "--quiet", "--all", "--message", "Meanwhile")
        return build(root, member, out)

    with pytest.raises(RefusedError, match="git merge"):
        release(
            workspace, "moola-losses", bump="minor", date=DAY, steps=Steps(build=meanwhile, compare=no_breaks)
        )
    assert git(workspace, "tag", "--list") == ""
    assert git(workspace, "log", "--format=%s") == "Meanwhile\nBegin"
    assert 'version = "0.1.0"' in text(workspace, f"{LOSSES}pyproject.toml")


def test_breaks_are_compared_with_the_last_tag_and_stop_a_patch(workspace, git):
    release(workspace, "moola-eval", bump="none", date=DAY, steps=STEPS)
    log = workspace / "packages/moola-eval/CHANGELOG.md"
    log.write_text(log.read_text().replace("## Unreleased\n", "## Unreleased\n\n- Less.\n"))
    git(workspace, "commit", "--quiet", "--all", "--message", "Less")
    seen = []

    def breaks(root, member, tag):
        seen.append(tag)
        return ["x.py:1: f: Public object was removed"]

    before, steps = state(workspace, git), Steps(build=build, compare=breaks)
    with pytest.raises(
        RefusedError, match=r"0\.1\.1 allows no breaking change since moola-eval-v0\.1\.0, got 1"
    ):
        release(workspace, "moola-eval", bump="patch", date=DAY, steps=steps)
    assert state(workspace, git) == before
    assert release(workspace, "moola-eval", bump="minor", date=DAY, steps=steps) == "moola-eval-v0.2.0"
    assert seen == ["moola-eval-v0.1.0"] * 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root, git: (root / "new.txt").write_text(""), "tree: want no changes"),
        (lambda root, git: (root / "README.md").write_text("x"), "tree: want no changes"),
        (lambda root, git: git(root, "checkout", "--quiet", "--detach"), "want a branch"),
        (
            lambda root, git: git(root, "tag", "moola-losses-v0.3.0"),
            "want that of the tag moola-losses-v0.3.0",
        ),
    ],
    ids=["untracked", "edited", "detached", "tagged"],
)
def test_a_start_that_is_not_clean_is_refused(workspace, git, spoil, message):
    spoil(workspace, git)
    before = state(workspace, git)
    with pytest.raises(RefusedError, match=message):
        release(workspace, "moola-losses", bump="minor", date=DAY, steps=STEPS)
    assert state(workspace, git) == before


def test_a_tag_on_another_branch_is_not_made_twice(workspace, git):
    git(workspace, "checkout", "--quiet", "-b", "other")
    git(workspace, "commit", "--quiet", "--allow-empty", "--message", "Other")
    git(workspace, "tag", "moola-losses-v0.2.0")
    git(workspace, "checkout", "--quiet", "main")
    with pytest.raises(RefusedError, match=r"tag: want a new one, got moola-losses-v0\.2\.0"):
        release(workspace, "moola-losses", bump="minor", date=DAY, steps=STEPS)


def test_a_misspelt_package_gets_the_nearest_name(workspace):
    with pytest.raises(RefusedError, match=r"got 'moola-loses'; did you mean moola-losses\?"):
        find_member(workspace, "moola-loses")


def test_the_command_refuses_in_one_line_with_code_1(workspace, git, monkeypatch, capsys):
    (workspace / "README.md").write_text("x")
    monkeypatch.chdir(workspace)
    assert main(["moola-losses", "minor", "--date", "2026-02-03"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("release: tree: want no changes")
    assert err.endswith("Nothing was changed.\n")


def test_bounds_hold_the_version_they_were_made_for_and_not_the_next_that_may_break():
    for version in map(Version, ("0.1.0", "0.9.7", "1.0.0", "1.4.2", "12.0.3")):
        specifier = Requirement(f"x{bounds_around(version)}").specifier
        following = [Version(f"{version.major}.{version.minor + 1}.0"), Version(f"{version.major + 1}.0.0")]
        assert version in specifier
        assert [later in specifier for later in following] == [
            not may_break(version, later) for later in following
        ]


def test_this_repository_after_a_minor_release_keeps_its_workspace_tests(workspace, git, tmp_path):
    """The real bounds, released in a copy and judged by the real test of them."""
    root, copy = Path(__file__).parents[2], tmp_path / "copy"
    for path in [root / "pyproject.toml", root / ".gitignore", root / "tests/test_workspace.py"]:
        (copy / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(root)).write_bytes(path.read_bytes())
    for path in [*root.glob("packages/*/pyproject.toml"), *root.glob("packages/*/CHANGELOG.md")]:
        (copy / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(root)).write_bytes(path.read_bytes())
    git(copy, "init", "--quiet", "--initial-branch", "main")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "Begin")
    far = datetime.date(2999, 1, 1)  # later than any release of this repository
    tag = release(copy, "moola-losses", bump="minor", date=far, steps=STEPS)
    command = [sys.executable, "-m", "pytest", "-q", "-k", "bounds", "tests/test_workspace.py"]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=copy, check=False, capture_output=True, text=True
    )
    assert (ended.returncode, " passed" in ended.stdout) == (0, True), ended.stdout
    assert tag == f"moola-losses-v{find_member(copy, 'moola-losses').version}"
