"""What the house promises: bounds, files, sizes, names, and imports that stay light."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))
VAGUE = {"utils", "helpers", "common", "base", "manager", "misc"}


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())


VERSIONS = {project(p)["project"]["name"]: Version(project(p)["project"]["version"]) for p in PACKAGES}


def sibling_requirements() -> list[tuple[str, Requirement]]:
    found = []
    for folder in PACKAGES:
        table = project(folder)["project"]
        extras = table.get("optional-dependencies", {})
        lines = [*table["dependencies"], *(line for extra in extras.values() for line in extra)]
        for line in lines:
            requirement = Requirement(line)
            if requirement.name in VERSIONS and requirement.name != table["name"]:
                found.append((table["name"], requirement))
    return found


def test_there_are_five_packages():
    assert set(VERSIONS) == {f"moola-{x}" for x in ("data", "models", "losses", "train", "eval")}


def test_recipes_require_all_four_siblings():
    assert {r.name for who, r in sibling_requirements() if who == "moola-train"} == set(VERSIONS) - {
        "moola-train"
    }


@pytest.mark.parametrize(("who", "requirement"), sibling_requirements(), ids=lambda x: str(x))
def test_sibling_bounds_exist_and_admit_the_present_version(who, requirement):
    """The workspace ignores these bounds, the user's installer does not."""
    operators = {spec.operator for spec in requirement.specifier}
    assert ">=" in operators, f"{who}: {requirement} has no lower bound"
    assert "<" in operators, f"{who}: {requirement} has no upper bound"
    assert VERSIONS[requirement.name] in requirement.specifier, (
        f"{who} wants {requirement}, the workspace holds {VERSIONS[requirement.name]}"
    )


def test_siblings_are_required_by_the_extra_recipes_only():
    for folder in PACKAGES:
        table = project(folder)["project"]
        names = {Requirement(line).name for line in table["dependencies"]}
        assert not names & set(VERSIONS), f"{folder.name} requires a sibling at run time"


def test_every_member_is_a_source_and_a_dependency_of_the_root():
    root = project(ROOT)
    assert set(root["tool"]["uv"]["sources"]) == set(VERSIONS)
    assert {Requirement(line).name for line in root["project"]["dependencies"]} == set(VERSIONS)


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda p: p.name)
def test_every_package_has_its_files(folder):
    module = folder / "src" / folder.name.replace("-", "_")
    wanted = [folder / name for name in ("README.md", "LICENSE", "CHANGELOG.md", "tests")]
    wanted += [module / name for name in ("__init__.py", "py.typed", "schema.py")]
    assert [str(path) for path in wanted if not path.exists()] == []
    assert "Unreleased" in (folder / "CHANGELOG.md").read_text()
    assert project(folder)["project"]["license"] == "MIT"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_named_after_the_domain(path):
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in VAGUE


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda p: p.name)
def test_the_front_door_has_at_most_15_names_and_no_logic(folder):
    path = folder / "src" / folder.name.replace("-", "_") / "__init__.py"
    tree = ast.parse(path.read_text())
    names = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]
    assert len(names) == 1
    assert len([n for n in names[0] if not n.startswith("__")]) <= 15
    assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Try) for node in tree.body)


def test_copies_of_the_array_border_are_identical():
    copies = sorted(ROOT.glob("packages/*/src/*/_arrays.py"))
    assert len(copies) >= 4
    assert len({path.read_bytes() for path in copies}) == 1


@pytest.mark.parametrize("module", ["moola_data", "moola_eval"])
def test_data_and_eval_load_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", sorted(name.replace("-", "_") for name in VERSIONS))
def test_a_package_loads_no_sibling(module):
    siblings = {name.replace("-", "_") for name in VERSIONS} - {module}
    code = f"import sys, {module}; print(*({siblings!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == []


def test_no_download_host_or_machine_path_is_recorded():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert "uv.lock" in ignored
    assert "exclude-newer" in project(ROOT)["tool"]["uv"]
