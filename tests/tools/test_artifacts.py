"""What is published: nothing stays of a build that fails, and a tag must be the version."""

import json

import pytest
from tools import artifacts
from tools.commands import RefusedError
from tools.members import find_member, tagged_version


def runner(calls, *, fails_on=None, project="moola-eval"):
    """Stand in for the programs: `uv build` writes two files, `uv export` a document."""

    def run(*command, cwd, show=False):
        calls.append(command)
        if fails_on and any(fails_on in part for part in command):
            raise RefusedError(f"`{command[0]}` ended with code 1")
        if command[:2] == ("uv", "build"):
            out = cwd / command[-1]
            out.mkdir(parents=True)
            for name in (".gitignore", "moola_eval-0.1.0-py3-none-any.whl", "moola_eval-0.1.0.tar.gz"):
                (out / name).write_text("")
        if command[:2] == ("uv", "export"):
            places = [{"url": "https://files.example.invalid/six.whl"}]
            six = {
                "name": "six",
                "version": "1.17.0",
                "purl": "pkg:x/six@1.17.0",
                "externalReferences": places,
            }
            named = {"name": project, "version": "0.1.0"}
            return json.dumps({"metadata": {"component": named}, "components": [six]})
        return ""

    return run


def test_wheel_and_sdist_are_each_tried_alone_and_stand_apart_from_the_bill(workspace, monkeypatch):
    calls = []
    monkeypatch.setattr(artifacts, "run", runner(calls))
    files = artifacts.build_artifacts(workspace, find_member(workspace, "moola-eval"), workspace / "dist")
    tried = [command[-1] for command in calls if command[0] == ".ci/wheel_alone"]
    assert tried == [str(path) for path in files[:2]]
    assert sorted(path.name for path in files[0].parent.iterdir()) == [path.name for path in files[:2]]
    assert files[2].name == "moola-eval-0.1.0.cdx.json"


def test_the_bill_names_what_is_needed_and_no_place_it_came_from(workspace, monkeypatch):
    monkeypatch.setattr(artifacts, "run", runner([]))
    text = artifacts.bill_of_materials(workspace, find_member(workspace, "moola-eval"))
    assert json.loads(text)["components"] == [
        {"name": "six", "version": "1.17.0", "purl": "pkg:x/six@1.17.0"}
    ]


def test_a_bill_of_another_package_is_refused(workspace, monkeypatch):
    monkeypatch.setattr(artifacts, "run", runner([], project="moola-train"))
    with pytest.raises(RefusedError, match=r"want moola-eval 0\.1\.0, got moola-train"):
        artifacts.bill_of_materials(workspace, find_member(workspace, "moola-eval"))


@pytest.mark.parametrize("step", ["build", "any.whl", ".tar.gz", "export"])
def test_a_step_that_fails_leaves_no_file_of_this_version(workspace, monkeypatch, step):
    monkeypatch.setattr(artifacts, "run", runner([], fails_on=step))
    other = workspace / "dist" / "moola-eval-0.0.9.cdx.json"
    other.parent.mkdir()
    other.write_text("kept")
    with pytest.raises(RefusedError, match="code 1"):
        artifacts.build_artifacts(workspace, find_member(workspace, "moola-eval"), other.parent)
    assert list(other.parent.iterdir()) == [other]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("moola-eval-v0.2.0", "tag: want moola-eval-v0.1.0 as in pyproject.toml, got 'moola-eval-v0.2.0'"),
        ("moola-eval-v0.1", "tag: want PACKAGE-vX.Y.Z, got 'moola-eval-v0.1'"),
        ("moola-eval-v0.1.0", "changelog: want one section '## 0.1.0 - DATE', got 0"),
        ("moola-evil", "package: want one of moola-eval, moola-losses, moola-train, got 'moola-evil'"),
    ],
)
def test_a_target_that_does_not_stand_in_the_tree_is_refused(workspace, monkeypatch, capsys, target, message):
    monkeypatch.chdir(workspace)
    assert artifacts.main([target]) == 1
    assert capsys.readouterr().err.startswith(f"artifacts: {message}")
    assert not list(workspace.glob("dist/*"))


@pytest.mark.parametrize("tag", ["moola-losses-0.2.0", "v0.2.0", "moola-eval-v0.2", "moola-eval-v1.0.0rc1"])
def test_only_a_tag_with_a_package_and_a_full_version_is_one(tag):
    with pytest.raises(RefusedError, match=r"want PACKAGE-vX\.Y\.Z"):
        tagged_version(tag)
