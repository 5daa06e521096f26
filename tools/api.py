"""What a user of the last release could no longer do: the public API compared by griffe."""

import re
import subprocess
from pathlib import Path

from packaging.version import Version

from tools.commands import RefusedError
from tools.members import Member

GRIFFE = "griffe==2.4.1"


def find_breaks(root: Path, member: Member, tag: str) -> list[str]:
    """Return the breaking changes of the package since `tag`, one line each; empty if there are none."""
    source = member.folder.relative_to(root) / "src"
    ended = subprocess.run(
        [
            "uvx",
            "--quiet",
            GRIFFE,
            "check",
            member.module,
            "-s",
            str(source),
            "-a",
            tag,
            "-f",
            "oneline",
            "--no-color",
        ],
        cwd=root,
        check=False,
        text=True,
        capture_output=True,
    )
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    # griffe ends with 1 for a break and for a failure of its own; only a break is told as FILE:LINE.
    breaks = [line for line in lines if re.match(r"\S+\.py:\d+: ", line)]
    if ended.returncode == 0:
        return []
    if ended.returncode == 1 and breaks == lines and breaks:
        return breaks
    raise RefusedError(
        f"API of {member.name} against {tag}: griffe ended with code {ended.returncode}: {lines[-1:]}"
    )


def may_break(old: Version, new: Version) -> bool:
    """Return whether the step between two versions announces breaking changes.

    Before 1.0 a minor version does, from then on a major one.

    >>> may_break(Version("0.2.0"), Version("0.3.0")), may_break(Version("1.2.0"), Version("1.3.0"))
    (True, False)
    """
    return new.major > old.major or (new.major == old.major == 0 and new.minor > old.minor)
