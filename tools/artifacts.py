"""Build what a release publishes, and try it as a user would: `make artifacts PACKAGE=moola-losses`.

Writes into `dist/`: the folder `moola-losses-0.2.0` with wheel and sdist, the bill of materials
`moola-losses-0.2.0.cdx.json`, and the notes `moola-losses-0.2.0.md` where the changelog has them.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from tools.changelog import read_notes
from tools.commands import RefusedError, run
from tools.members import Member, find_member, tagged_version


def build_artifacts(root: Path, member: Member, out: Path) -> list[Path]:
    """Build wheel and sdist, try each alone outside the tree, and add the bill of materials.

    Args:
        root: The repository.
        member: The package to build.
        out: Folder for the files; what an earlier build of this version left there is replaced.

    Returns:
        Wheel, sdist and bill of materials.

    Raises:
        RefusedError: If a step fails; `out` then holds nothing of this version.
    """
    version = member.version
    folder, bill = out / f"{member.name}-{version}", out / f"{member.name}-{version}.cdx.json"
    shutil.rmtree(folder, ignore_errors=True)
    bill.unlink(missing_ok=True)
    try:
        run("uv", "build", "--quiet", "--package", member.name, "--out-dir", str(folder), cwd=root, show=True)
        files = [folder / f"{member.module}-{version}{end}" for end in ("-py3-none-any.whl", ".tar.gz")]
        if missing := [path.name for path in files if not path.is_file()]:
            raise RefusedError(f"build of {member.name}: want {', '.join(missing)}, got none")
        (folder / ".gitignore").unlink(missing_ok=True)
        for path in files:
            print(f"{path.name} alone, outside the tree:", flush=True)
            run(".ci/wheel_alone", member.name, str(path), cwd=root, show=True)
        bill.write_text(bill_of_materials(root, member))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        bill.unlink(missing_ok=True)
        raise
    return [*files, bill]


def bill_of_materials(root: Path, member: Member) -> str:
    """Return what the package stands on, resolved: a CycloneDX document.

    uv writes it from its resolution. The places it downloaded from are left out: they tell of one machine.
    """
    text = run(
        *("uv", "export", "--quiet", "--no-dev", "--all-extras", "--package", member.name),
        *("--format", "cyclonedx1.5", "--preview-features", "sbom-export"),
        cwd=root,
    )
    document = json.loads(text)
    named = document["metadata"]["component"]
    if (named["name"], named["version"]) != (member.name, str(member.version)):
        raise RefusedError(
            f"bill of materials: want {member.name} {member.version}, got {named['name']} {named['version']}"
        )
    for component in document["components"]:
        component.pop("externalReferences", None)
    return json.dumps(document, indent=2) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make artifacts", description=__doc__)
    parser.add_argument("target", help="a package, or a release tag whose version must be the package's")
    target = parser.parse_args(arguments).target
    root = Path.cwd()
    try:
        name, _, tagged = target.partition("-v")
        member = find_member(root, name)
        if tagged and tagged_version(target) != member.version:
            raise RefusedError(f"tag: want {name}-v{member.version} as in pyproject.toml, got {target!r}")
        if tagged:
            (root / "dist").mkdir(exist_ok=True)
            notes = read_notes((member.folder / "CHANGELOG.md").read_text(), member.version)
            (root / "dist" / f"{name}-{member.version}.md").write_text(notes + "\n")
        for path in build_artifacts(root, member, root / "dist"):
            print(path.relative_to(root))
    except RefusedError as refusal:
        print(f"artifacts: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
