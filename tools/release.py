"""Release one package: `make release PACKAGE=moola-losses BUMP=minor`.

Everything happens in a second worktree: version, sibling bounds, changelog, commit, comparison with the last
release, build, trial of wheel and sdist, bill of materials. Only when all of it has passed does the branch
move to the commit, with its tag; until then the repository is untouched. Nothing is uploaded: pushing the tag
does that.
"""

import argparse
import datetime
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from packaging.requirements import Requirement
from packaging.version import Version

from tools.api import find_breaks, may_break
from tools.artifacts import build_artifacts
from tools.changelog import add_change, read_notes, release_notes
from tools.commands import RefusedError, run
from tools.members import Member, find_member, list_members, list_tags, move_sibling_bounds, tagged_version

Bump = Literal["major", "minor", "patch", "none"]


@dataclass(frozen=True)
class Steps:
    """The two costly steps: the files that are published, and the comparison with the last release."""

    build: Callable[[Path, Member, Path], list[Path]] = build_artifacts
    compare: Callable[[Path, Member, str], list[str]] = find_breaks


def check_start(root: Path, member: Member, bump: Bump) -> str:
    """Return the branch to release from, or refuse: changes in the tree, no branch, siblings not released."""
    if changes := run("git", "status", "--porcelain", cwd=root):
        raise RefusedError(f"tree: want no changes and no untracked files, got\n{changes}")
    branch = run("git", "branch", "--show-current", cwd=root)
    if not branch:
        raise RefusedError("HEAD: want a branch, got a detached commit")
    tags = list_tags(root, member.name)
    if bump == "none" and tags:
        raise RefusedError(f"BUMP: want major, minor or patch after {tags[-1]}, got 'none'")
    if tags and tagged_version(tags[0]) != member.version:
        raise RefusedError(f"version: want that of the tag {tags[0]}, got {member.version}")
    members = list_members(root)
    for line in member.sibling_lines(set(members)):
        wanted = Requirement(line)
        if not any(tagged_version(tag) in wanted.specifier for tag in list_tags(root, wanted.name)):
            raise RefusedError(
                f"{member.name} requires {line}: want a released version of it, got none; release it first"
            )
    return branch


@contextmanager
def open_room(root: Path) -> Iterator[Path]:
    """Yield a second worktree of the present commit, in a temporary folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="moola-release-") as folder:
        room = Path(folder) / "tree"
        run("git", "worktree", "add", "--quiet", "--detach", str(room), "HEAD", cwd=root)
        try:
            yield room.resolve()
        finally:
            run("git", "worktree", "remove", "--force", str(room), cwd=root)


def write_version(room: Path, name: str, bump: Bump, date: datetime.date) -> tuple[Member, str]:
    """Commit version, bounds and changelogs in the room; return the package and the tag's name."""
    member = find_member(room, name)
    if bump != "none":
        run("uv", "version", "--quiet", "--frozen", "--package", name, "--bump", bump, cwd=room)
    version, tag = member.version, f"{name}-v{member.version}"
    if run("git", "tag", "--list", tag, cwd=room):
        raise RefusedError(f"tag: want a new one, got {tag}, which exists")
    notes = member.folder / "CHANGELOG.md"
    notes.write_text(release_notes(notes.read_text(), version=version, date=date))
    for other in move_sibling_bounds(room, name):
        log = other.folder / "CHANGELOG.md"
        log.write_text(add_change(log.read_text(), f"Requires {name} {version.major}.{version.minor}."))
        print(f"{other.name}: its bound on {name} moved; release it next")
    run("git", "commit", "--quiet", "--all", "-m", f"{name} {version}", cwd=room)
    return member, tag


def check_api(
    room: Path, member: Member, new: Version, compare: Callable[[Path, Member, str], list[str]]
) -> None:
    """Print what breaks since the last release, and refuse if the new version does not announce it."""
    tags = list_tags(room, member.name)
    if not tags:
        print(f"API: no release of {member.name} to compare with")
        return
    breaks = compare(room, member, tags[0])
    print("\n".join([f"API: breaking changes since {tags[0]}: {len(breaks)}", *breaks]))
    if breaks and not may_break(tagged_version(tags[0]), new):
        raise RefusedError(f"API: {new} allows no breaking change since {tags[0]}, got {len(breaks)}")


def land(root: Path, room: Path, *, branch: str, tag: str, message: str) -> None:
    """Tag the room's commit and move the branch to it: both or neither."""
    commit = run("git", "rev-parse", "HEAD", cwd=room)
    if run("git", "branch", "--show-current", cwd=root) != branch:
        raise RefusedError(f"branch: want {branch} as at the start, got another")
    run("git", "tag", "--annotate", "--cleanup=verbatim", tag, "-m", message, commit, cwd=root)
    try:
        run("git", "merge", "--quiet", "--ff-only", commit, cwd=root)
    except BaseException:
        run("git", "tag", "--delete", tag, cwd=root)
        raise


def release(
    root: Path,
    name: str,
    *,
    bump: Bump,
    date: datetime.date,
    dry_run: bool = False,
    steps: Steps | None = None,
) -> str:
    """Release one package, or change nothing.

    Args:
        root: The repository; clean, on a branch.
        name: The package.
        bump: Which part of the version to raise; `none` for a first release of the version that stands there.
        date: Day of the release, for the changelog.
        dry_run: Do everything except move the branch, tag, and keep the files.
        steps: Other ways to build and to compare.

    Returns:
        The tag.

    Raises:
        RefusedError: If anything stands in the way; branch, tags, tree and `dist/` are as before.
    """
    steps = steps or Steps()
    branch = check_start(root, find_member(root, name), bump)
    with open_room(root) as room:
        member, tag = write_version(room, name, bump, date)
        print(run("git", "show", "--stat", "--patch", "--format=%s", cwd=room))
        check_api(room, member, member.version, steps.compare)
        files = steps.build(room, member, room / "dist")
        if changes := run("git", "status", "--porcelain", cwd=room):
            raise RefusedError(f"build: want a tree as committed, got\n{changes}")
        print("\n".join(["", *(f"{path.stat().st_size:>9} bytes  {path.name}" for path in files)]))
        if dry_run:
            return tag
        notes = read_notes((member.folder / "CHANGELOG.md").read_text(), member.version)
        land(root, room, branch=branch, tag=tag, message=f"{name} {member.version}\n\n{notes}\n")
        shutil.copytree(room / "dist", root / "dist", dirs_exist_ok=True)
    return tag


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("package")
    parser.add_argument("bump", choices=get_args(Bump))
    parser.add_argument("--date", type=datetime.date.fromisoformat, required=True, help="day of the release")
    parser.add_argument(
        "--dry-run", action="store_true", help="everything except the tag, the branch and the files"
    )
    options = parser.parse_args(arguments)
    try:
        tag = release(
            Path.cwd(), options.package, bump=options.bump, date=options.date, dry_run=options.dry_run
        )
    except RefusedError as refusal:
        print(f"release: {refusal}\nNothing was changed.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("release: interrupted. Nothing was changed.", file=sys.stderr)
        return 130
    if options.dry_run:
        print(f"{tag}: everything passed; nothing was changed")
    else:
        print(f"{tag}: tagged here, files in dist; to publish: git push --atomic origin HEAD {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
