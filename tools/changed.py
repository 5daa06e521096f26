"""Print the packages that a change touches: `make changed BASE=origin/main`.

A file of a package touches that package and those that require it (moola-train, through its extra `recipes`);
any other file of the repository touches all.
"""

import argparse
import json
import sys
from pathlib import Path

from packaging.requirements import Requirement

from tools.commands import RefusedError, run
from tools.members import list_members


def changed_files(root: Path, base: str) -> list[str]:
    """Return what differs between the tree and the commit where it left `base`, untracked files included.

    A file that was moved counts at both places.
    """
    try:
        start = run("git", "merge-base", base, "HEAD", cwd=root)
    except RefusedError:
        raise RefusedError(f"BASE: want a branch, tag or commit with a common past, got {base!r}") from None
    tracked = run("git", "diff", "--name-only", "--no-renames", "-z", start, cwd=root)
    untracked = run("git", "ls-files", "--others", "--exclude-standard", "-z", cwd=root)
    return sorted({path for path in f"{tracked}\0{untracked}".split("\0") if path})


def touched_packages(root: Path, files: list[str]) -> list[str]:
    """Return the names of the packages that these files touch, in alphabetical order."""
    members = list_members(root)
    owners = {file: file.split("/")[1] if file.startswith("packages/") else "" for file in files}
    if not set(owners.values()) <= set(members):
        return list(members)
    touched = set(owners.values())
    for member in members.values():
        if {Requirement(line).name for line in member.sibling_lines(set(members))} & set(owners.values()):
            touched.add(member.name)
    return sorted(touched)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make changed", description=__doc__)
    parser.add_argument("base", help="branch, tag or commit to compare with")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a line each")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    try:
        touched = touched_packages(root, changed_files(root, options.base))
    except RefusedError as refusal:
        print(f"changed: {refusal}", file=sys.stderr)
        return 1
    print(json.dumps(touched) if options.json else "\n".join(touched))
    return 0


if __name__ == "__main__":
    sys.exit(main())
