"""Run other programs, and refuse in one line when one of them fails."""

import subprocess
from pathlib import Path


class RefusedError(Exception):
    """What stands in the way of the work asked for, in a sentence for the person who asked."""


def run(*command: str, cwd: Path, show: bool = False) -> str:
    """Run a program to its end and return what it printed.

    Args:
        command: Program and arguments; no shell reads them.
        cwd: Folder it runs in.
        show: Let its output through to the terminal (nothing is returned then).

    Returns:
        Standard output without the white space at its ends.

    Raises:
        RefusedError: If the program ends with another code than 0, with what it said.
    """
    ended = subprocess.run(command, cwd=cwd, check=False, text=True, capture_output=not show)
    if ended.returncode != 0:
        said = "" if show else f": {(ended.stderr or ended.stdout).strip()}"
        raise RefusedError(f"`{' '.join(command)}` ended with code {ended.returncode}{said}")
    return "" if show else ended.stdout.strip()
