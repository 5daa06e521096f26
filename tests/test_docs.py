"""Everything the docs show runs: doctests of all modules, the Python blocks of all pages, their commands.

A fence says what it is: ``python`` runs, all of a page in one namespace and an empty folder; ``sh`` holds
commands, of which ours are parsed; ``toml`` is a configuration that is accepted, or part of a pyproject;
``text`` is what something prints. ``py`` is not run, for it needs files of the reader (READMEs) or another
library (docs/coming-from).
"""

import doctest
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.commands import app
from moola_train.recipes.run_config import RunConfig

ROOT = Path(__file__).parents[1]
PACKAGES = ("moola_data", "moola_models", "moola_losses", "moola_train", "moola_eval")
EXTRAS = {
    "moola_data.boosting": "boost",
    "moola_data.proxy_plot": "plot",
    "moola_eval.sklearn": "sklearn",
    "moola_eval.torchmetrics": "torchmetrics",
    "moola_models.hub": "hub",
    "moola_models.onnx_file": "onnx",
}
"""Modules that need an extra that the workspace does not install."""


def modules() -> list[str]:
    names = []
    for package in PACKAGES:
        folder = importlib.import_module(package).__path__
        names += [package, *(found.name for found in pkgutil.walk_packages(folder, f"{package}."))]
    return [name for name in names if name not in EXTRAS and not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_doctests_pass(name):
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert result.failed == 0


READMES = sorted(p for p in ROOT.glob("**/README.md") if not {".venv", ".venvs"} & set(p.parts))
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/docs/*.md")])


def fences(path: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    found = re.findall(r"^```(\S*)[^\n]*\n(.*?)^```$", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [(str(language), str(text)) for language, text in found]


def blocks(path: Path, language: str) -> list[str]:
    return [text for found, text in fences(path) if found == language]


def pages_with(language: str) -> dict:
    """For `pytest.mark.parametrize`."""
    chosen = [path for path in [*READMES, *PAGES] if blocks(path, language)]
    return {"argvalues": chosen, "ids": [str(path.relative_to(ROOT)) for path in chosen]}


@pytest.mark.parametrize("path", **pages_with("python"))
def test_python_blocks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__page__"}
    for block in blocks(path, "python"):
        exec(compile(block, str(path), "exec"), names)


def commands(path: Path) -> list[list[str]]:
    """Words of each command of a page's shell blocks, comments left out, lines ended by \\ joined."""
    lines = "\n".join(blocks(path, "sh")).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in re.split(r"&&|\|", line.split("#", 1)[0])]
    return [words for part in parts if (words := shlex.split(part))]


@pytest.mark.parametrize("path", **pages_with("sh"))
def test_commands_are_understood(path):
    for words in commands(path):
        while words[0] in {"uv", "run", "time"} or re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words[0] == "moola":
            understood(words[1:])
        elif words[:1] == ["make"]:
            targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
            assert words[1] in targets, f"{path}: no target {words[1]}"
        elif words[0].startswith("python"):
            scripts = [word for word in words if word.endswith(".py") and "/" in word]
            assert all((ROOT / script).is_file() for script in scripts), f"{path}: no script {scripts}"


def understood(words: list[str]) -> None:
    """Parses a command of `moola` without running it; dotted flags are looked up in the configuration."""
    if words[0] == "evaluate":
        given = {word for word in words if word.startswith("--")}
        assert given <= evaluation_flags(), f"moola evaluate: unknown {given - evaluation_flags()}"
        return
    journal = words[0] == "journal"
    kept, place = [], 0
    while place < len(words):
        if words[place].startswith("--") and "." in words[place]:
            known(CatalogueConfig() if journal else RunConfig(), words[place][2:].partition("=")[0])
            place += 1 if "=" in words[place] else 2
        else:
            kept.append(words[place])
            place += 1
    app.parse_args(kept, exit_on_error=False, print_error=False)  # raises where it does not understand


def known(settings: object, key: str) -> None:
    for part in key.split("."):
        assert hasattr(settings, part), f"--{key}: there is no {part}"
        settings = getattr(settings, part)


def evaluation_flags() -> set[str]:
    asked = [sys.executable, "-m", "moola_eval", "--help"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True, env={**os.environ}).stdout
    return set(re.findall(r"--[a-z-]+", shown))


@pytest.mark.parametrize("path", **pages_with("toml"))
def test_configurations_are_accepted(path):
    for block in blocks(path, "toml"):
        values = tomllib.loads(block)
        if path in PAGES and not {"project", "tool", "build-system"} & set(values):
            kind = CatalogueConfig if set(values) <= set(CatalogueConfig.model_fields) else RunConfig
            kind.model_validate(values)


def test_pages_use_the_languages_that_are_checked():
    for path in ROOT.glob("docs/**/*.md"):
        allowed = {"python", "sh", "toml", "text"} | ({"py"} if path.parent.name == "coming-from" else set())
        others = {language for language, _ in fences(path)} - allowed
        assert not others, f"{path}: {others}"


def test_what_is_not_run_is_python_at_least():
    for path in [*READMES, *PAGES]:
        for block in blocks(path, "py"):
            compile(block, str(path), "exec")


def test_a_package_readme_shows_a_block_that_runs():
    for package in PACKAGES:
        text = (ROOT / "packages" / package.replace("_", "-") / "README.md").read_text()
        assert "```python" in text, f"{package}: the README shows no example"
        assert f"pip install {package.replace('_', '-')}" in text
