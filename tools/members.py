"""The packages of the workspace: names, versions, and the bounds they set on each other."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

from tools.commands import RefusedError, run


@dataclass(frozen=True)
class Member:
    """One package: its published name and its folder."""

    name: str
    folder: Path

    @property
    def module(self) -> str:
        """The name it is imported by."""
        return self.name.replace("-", "_")

    @property
    def project(self) -> dict[str, Any]:
        """The table `[project]` as it stands on the disk now."""
        table: dict[str, Any] = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        return table

    @property
    def version(self) -> Version:
        """The version as it stands on the disk now."""
        return Version(self.project["version"])

    def sibling_lines(self, names: set[str]) -> Iterator[str]:
        """Yield its requirements, extras included, on other packages among `names`, as written."""
        table = self.project
        extras = table.get("optional-dependencies", {}).values()
        for line in [*table.get("dependencies", []), *(line for extra in extras for line in extra)]:
            if Requirement(line).name in names - {self.name}:
                yield line


def list_members(root: Path) -> dict[str, Member]:
    """Return the packages under `packages/` by name, in alphabetical order."""
    folders = sorted(path.parent for path in root.glob("packages/*/pyproject.toml"))
    return {folder.name: Member(folder.name, folder) for folder in folders}


def find_member(root: Path, name: str) -> Member:
    """Return the package called `name`.

    Raises:
        RefusedError: If there is none, with the nearest name and all names.
    """
    members = list_members(root)
    if name in members:
        return members[name]
    near = difflib.get_close_matches(name, members, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RefusedError(f"package: want one of {', '.join(members)}, got {name!r}{hint}")


def list_tags(root: Path, name: str) -> list[str]:
    """Return the release tags of a package that this commit descends from, newest version first."""
    found = run("git", "tag", "--list", f"{name}-v*", "--merged", "HEAD", cwd=root).split()
    return sorted(found, key=tagged_version, reverse=True)


def tagged_version(tag: str) -> Version:
    """Return the version in a tag: `moola-losses-v0.2.0` gives 0.2.0."""
    match = re.fullmatch(r"(?P<name>[a-z][a-z-]*)-v(?P<version>\d+\.\d+\.\d+)", tag)
    if match is None:
        raise RefusedError(f"tag: want PACKAGE-vX.Y.Z, got {tag!r}")
    return Version(match["version"])


def bounds_around(version: Version) -> str:
    """Return the bounds that a sibling sets: from this minor version to before the next that may break.

    >>> bounds_around(Version("0.2.1")), bounds_around(Version("1.3.0"))
    ('>=0.2,<0.3', '>=1.3,<2')
    """
    above = f"0.{version.minor + 1}" if version.major == 0 else f"{version.major + 1}"
    return f">={version.major}.{version.minor},<{above}"


def move_sibling_bounds(root: Path, name: str) -> list[Member]:
    """Rewrite the requirements on `name` that do not admit its present version; return whose they were."""
    members = list_members(root)
    version, moved = members[name].version, []
    for member in members.values():
        path, before = member.folder / "pyproject.toml", list(member.sibling_lines(set(members)))
        for line in before:
            requirement = Requirement(line)
            if requirement.name != name or version in requirement.specifier:
                continue
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            marker = f"; {requirement.marker}" if requirement.marker else ""
            new = f"{name}{extras}{bounds_around(version)}{marker}"
            path.write_text(path.read_text().replace(f'"{line}"', f'"{new}"'))
            if line in member.sibling_lines(set(members)):
                raise RefusedError(
                    f"{path.relative_to(root)}: the requirement {line!r} is not written in double quotes"
                )
            moved.append(member)
    return list(dict.fromkeys(moved))
