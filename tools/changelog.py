"""Keep a Changelog, read and moved: what is unreleased becomes a version with a date."""

import datetime
import re

from packaging.version import Version

from tools.commands import RefusedError

_UNRELEASED = re.compile(r"^## Unreleased[ \t]*\n", re.MULTILINE)
_VERSION = re.compile(r"^## (?P<version>\d\S*) - (?P<date>\d{4}-\d{2}-\d{2})[ \t]*\n", re.MULTILINE)


def _cut(text: str) -> tuple[str, str, str]:
    """Return what stands before, inside and after the section Unreleased."""
    found = list(_UNRELEASED.finditer(text))
    if len(found) != 1:
        raise RefusedError(f"changelog: want one heading '## Unreleased', got {len(found)}")
    start = found[0].end()
    following = re.compile(r"^## ", re.MULTILINE).search(text, start)
    end = following.start() if following else len(text)
    return text[:start], text[start:end].strip("\n"), text[end:]


def release_notes(text: str, *, version: Version, date: datetime.date) -> str:
    """Return the changelog with its unreleased entries under the version and the date.

    Raises:
        RefusedError: If nothing is unreleased, the version is there, or the last release is younger.
    """
    head, body, rest = _cut(text)
    if not re.search(r"^- ", body, re.MULTILINE):
        raise RefusedError("changelog: want at least one entry under '## Unreleased', got none")
    for match in _VERSION.finditer(rest):
        if Version(match["version"]) == version:
            raise RefusedError(f"changelog: {version} has a section already")
        if date < datetime.date.fromisoformat(match["date"]):
            raise RefusedError(f"date: want {match['date']} or later ({match['version']}), got {date}")
    return f"{head}\n## {version} - {date}\n\n{body}\n" + (f"\n{rest}" if rest else "")


def read_notes(text: str, version: Version) -> str:
    """Return what the changelog says about one version, without the heading."""
    found = [match for match in _VERSION.finditer(text) if Version(match["version"]) == version]
    if len(found) != 1:
        raise RefusedError(f"changelog: want one section '## {version} - DATE', got {len(found)}")
    return re.split(r"^## ", text[found[0].end() :], maxsplit=1, flags=re.MULTILINE)[0].strip("\n")


def add_change(text: str, entry: str) -> str:
    """Return the changelog with one more entry under Unreleased / Changed."""
    head, body, rest = _cut(text)
    heading = "### Changed\n\n"
    if heading in body:
        body = body.replace(heading, f"{heading}- {entry}\n", 1)
    else:
        body = (f"{body}\n\n" if body else "") + f"{heading}- {entry}"
    return f"{head}\n{body}\n" + (f"\n{rest}" if rest else "")
