"""A small workspace under git, a fresh copy for every test of the machinery."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # `tools` is run from the root and installed nowhere

WHO = ("-c", "user.name=A Maintainer", "-c", "user.email=maintainer@example.invalid")
CHANGELOG = """# Changelog of {name}

## Unreleased

### Added

- The first thing of {name}.
"""


@pytest.fixture(scope="session")
def git() -> Callable[..., str]:
    def run(root: Path, *command: str) -> str:
        ended = subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True)
        return ended.stdout.strip()

    return run


@pytest.fixture(scope="session")
def template(tmp_path_factory, git) -> Path:
    """Two packages that know nothing of each other, and a third whose extra requires the first."""
    root = tmp_path_factory.mktemp("workspace") / "tree"
    (root / "tests").mkdir(parents=True)
    (root / "tests" / "test_whole.py").write_text("")
    (root / "README.md").write_text("A workspace.\n")
    (root / ".gitignore").write_text("dist/\nuv.lock\n")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "workspace"\nversion = "0"\n\n[tool.uv]\npackage = false\n\n'
        '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    )
    extras = {"moola-train": '[project.optional-dependencies]\nrecipes = ["moola-losses>=0.1,<0.2", "six"]\n'}
    for name in ("moola-eval", "moola-losses", "moola-train"):
        folder = root / "packages" / name
        source = folder / "src" / name.replace("-", "_")
        source.mkdir(parents=True)
        (source / "__init__.py").write_text('"""A package."""\n')
        (folder / "CHANGELOG.md").write_text(CHANGELOG.format(name=name))
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "0.1.0" # raised by a release\n'
            f'requires-python = ">=3.11"\n\n{extras.get(name, "")}'
        )
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", "--all")
    git(root, *WHO, "commit", "--quiet", "--message", "Begin")
    return root


@pytest.fixture
def workspace(template, tmp_path, monkeypatch) -> Path:
    """A copy of the template that a test may change, with somebody who commits."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A Maintainer")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "maintainer@example.invalid")
    shutil.copytree(template, tmp_path / "tree")
    return tmp_path / "tree"
