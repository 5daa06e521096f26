"""Links lead somewhere: to a page, and to a heading of it. No external page is fetched."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = sorted(DOCS.glob("**/*.md"))
OTHERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("packages/*/*.md"), *ROOT.glob("packages/*/docs/*.md")])
OTHERS += sorted(ROOT.glob("benchmarks/*.md"))


def text_of(path: Path) -> str:
    """A page with what it includes, without code."""
    text = re.sub(
        r'^--8<-- "(.*?)"$', lambda m: (ROOT / m[1]).read_text(), path.read_text(), flags=re.MULTILINE
    )
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def links(path: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", text_of(path))
    return re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", text) + re.findall(
        r"<(https?:[^>]+)>", text
    )


def slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain.lower(), flags=re.ASCII).strip())


def anchors(path: Path) -> set[str]:
    return {slug(line) for line in re.findall(r"^#+ (.+?)\s*$", text_of(path), flags=re.MULTILINE)}


@pytest.mark.parametrize("path", [*SITE, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", f"{link}: want https"
            assert "." in (parts.hostname or ""), f"{link}: no host"
            continue
        target = (path.parent / parts.path).resolve() if parts.path else path
        assert target.exists(), f"{path.relative_to(ROOT)}: {link}: there is no {target}"
        if path in SITE:
            assert DOCS in target.parents, f"{path.relative_to(ROOT)}: {link} leads out of the site"
        if parts.fragment:
            assert parts.fragment in anchors(target), f"{path.relative_to(ROOT)}: {link}: no such heading"


def test_every_page_can_be_reached():
    shown = set(re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text()))
    missing = {name for name in shown if not (DOCS / name).is_file()}
    assert not missing, f"zensical.toml shows pages that are not there: {missing}"
    linked = {(page.parent / urlsplit(link).path).resolve() for page in SITE for link in links(page)}
    pages = [page for page in SITE if page.parent.name != "studies"]  # `moola study` writes those
    lost = [page for page in pages if str(page.relative_to(DOCS)) not in shown and page not in linked]
    assert not lost, f"neither in zensical.toml nor linked: {lost}"


def test_the_reference_has_every_public_module_once():
    pages = "\n".join(page.read_text() for page in DOCS.glob("reference/**/*.md"))
    named = re.findall(r"^::: (\S+)$", pages, flags=re.MULTILINE)
    assert len(named) == len(set(named)), f"twice: {sorted({n for n in named if named.count(n) > 1})}"
    files = [file for file in ROOT.glob("packages/*/src/*/*.py") if not file.stem.startswith("_")]
    public = {f"{file.parent.name}.{file.stem}" for file in files} | {file.parent.name for file in files}
    assert public <= set(named), f"no reference page names {sorted(public - set(named))}"


def test_what_the_reference_names_is_there():
    for page in DOCS.glob("reference/**/*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(), flags=re.MULTILINE):
            package, *inside = name.split(".")
            source = ROOT / "packages" / package.replace("_", "-") / "src" / package
            path = source.joinpath(*inside)
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{page.relative_to(ROOT)}: {name}"
