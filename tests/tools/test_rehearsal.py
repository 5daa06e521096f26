"""A whole release on a throw-away clone, with the real builder and the real comparison."""

import datetime
import json
import subprocess
from pathlib import Path

import pytest
from tools.api import find_breaks
from tools.commands import RefusedError
from tools.members import find_member

ROOT = Path(__file__).parents[2]
MODULE = '"""A package."""\n\n\ndef keep(x: int) -> int:\n    """Keep."""\n    return x\n'


@pytest.mark.slow
def test_a_removed_name_is_a_break_and_a_new_one_is_not(workspace, git):
    member = find_member(workspace, "moola-eval")
    path = member.folder / "src/moola_eval/__init__.py"
    path.write_text(MODULE + '\n\ndef drop() -> None:\n    """Drop."""\n\n\ndef _own() -> None:\n    pass\n')
    git(workspace, "commit", "--quiet", "--all", "--message", "Two names")
    git(workspace, "tag", "moola-eval-v0.1.0")
    path.write_text(
        path.read_text().replace("_own", "_mine").replace("keep(x: int)", "keep(x: int, *, y: int = 0)")
    )
    assert find_breaks(workspace, member, "moola-eval-v0.1.0") == []
    path.write_text(MODULE)
    assert len(found := find_breaks(workspace, member, "moola-eval-v0.1.0")) == 1
    assert "drop" in found[0]
    with pytest.raises(RefusedError, match="griffe ended with code 1"):
        find_breaks(workspace, member, "moola-eval-v9.9.9")


@pytest.mark.slow
def test_a_clone_of_this_repository_releases_a_package(workspace, git, tmp_path):
    """Wheel and sdist pass their own tests outside the tree; the tag and the files stand at the end."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    date = str(datetime.date(2999, 1, 1))
    for old in git(clone, "tag", "--list", "moola-eval-v*").split():
        git(clone, "tag", "--delete", old)  # a rehearsal is a first release, whenever it runs
    subprocess.run(
        ["make", "release", "PACKAGE=moola-eval", "BUMP=minor", f"DATE={date}"], cwd=clone, check=True
    )
    (tag,) = git(clone, "tag", "--list", "moola-eval-v*").split()
    version = tag.removeprefix("moola-eval-v")
    assert git(clone, "status", "--porcelain") == ""
    assert f"## {version} - {date}" in (clone / "packages/moola-eval/CHANGELOG.md").read_text()
    assert sorted(path.name for path in (clone / "dist" / f"moola-eval-{version}").iterdir()) == [
        f"moola_eval-{version}-py3-none-any.whl",
        f"moola_eval-{version}.tar.gz",
    ]
    bill = json.loads((clone / "dist" / f"moola-eval-{version}.cdx.json").read_text())
    assert {"numpy", "scipy", "pydantic"} <= {component["name"] for component in bill["components"]}
    assert "url" not in json.dumps(bill)
