"""Everything the docs show runs: doctests of all modules, and the Python blocks of the READMEs."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "path",
    sorted(p for p in ROOT.glob("**/README.md") if ".venv" not in str(p)),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_readme_blocks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__readme__"}
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE):
        exec(compile(block, str(path), "exec"), names)


def test_a_package_readme_shows_a_block_that_runs():
    for package in PACKAGES:
        text = (ROOT / "packages" / package.replace("_", "-") / "README.md").read_text()
        assert "```python" in text, f"{package}: the README shows no example"
        assert f"pip install {package.replace('_', '-')}" in text
