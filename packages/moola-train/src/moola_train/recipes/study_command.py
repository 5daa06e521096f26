"""``moola study``: runs one study of the package, or all of them."""

from __future__ import annotations

import json as text_of
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from moola_train.recipes.flags import Json
from moola_train.recipes.near_names import did_you_mean
from moola_train.recipes.provenance import write_text
from moola_train.recipes.study import Study, load_study, study_names
from moola_train.recipes.study_coverage import coverage_table
from moola_train.recipes.study_run import Finished, run_study
from moola_train.recipes.study_verdict import EXPLAINED
from moola_train.recipes.telling import answer
from moola_train.schema import SweepRow
from moola_train.sweep import job_key

WORK = Path("runs") / "studies"
OUT = Path("docs") / "studies"


def study(
    name: str,
    /,
    *,
    quick: Annotated[bool, Parameter(negative="")] = False,
    out: Path = OUT,
    work: Path = WORK,
    workers: int = 2,
    json: Json = False,
) -> int:
    """Test claims by a study: variants times seeds, a table, a picture, and a verdict on each claim.

    Interrupted, it goes on where it stopped when called again.

    Examples: moola study list; moola study stall --quick; moola study all --workers 4

    Args:
        name: A study, or all that do not stand alone. `moola study list` lists them.
        quick: One seed, smaller data, no verdict.
        out: Folder of the results.
        work: Folder of the finished trials.
        workers: Processes at a time, one thread each.
        json: Tell trials, failed ones and written files as JSON; of list, names and titles.
    """
    if name == "list":
        titles = {listed: load_study(listed).title for listed in study_names()}
        words = "\n".join(f"{listed:12} {title}" for listed, title in titles.items())
        found = [{"name": listed, "title": title} for listed, title in titles.items()]
        answer(words, {"studies": found}, json=json)
        return 0
    known = (*study_names(), "all", "list")
    if name not in known:
        raise ValueError(f"study: want one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    chosen = _all() if name == "all" else [load_study(name)]
    if find_spec("matplotlib") is None:
        raise ValueError(
            "study: want the extra 'studies' for its pictures: pip install 'moola-train[studies]'"
        )
    done: dict[str, Finished] = {}
    for one in chosen:
        folder = work / (one.name + ("-quick" if quick else ""))
        target = out / "quick" if quick else out
        finished = done[one.name] = run_study(
            one, work=folder, out=target, quick=quick, workers=workers, announce=_told(one, quick=quick)
        )
        words = f"{one.name}: {len(finished.rows)} trials, {finished.failed} failed: {target / one.name}.md"
        print(words, file=sys.stderr if json else sys.stdout)
    claims = [write_claims(out)] if name == "all" and not quick else []
    if json:
        answer("", _result(name, done, claims), json=True)
    return 1 if any(finished.failed for finished in done.values()) else 0


def _result(name: str, done: dict[str, Finished], more: list[Path]) -> dict[str, object]:
    """What was run and written; of several studies also one by one."""
    files = [file for finished in done.values() for file in finished.files]
    together: dict[str, object] = {
        "study": name,
        "trials": sum(len(finished.rows) for finished in done.values()),
        "failed": sum(finished.failed for finished in done.values()),
        "files": [str(file) for file in (*files, *more)],
    }
    if name != "all":
        return together
    return together | {"studies": [_result(one, {one: finished}, []) for one, finished in done.items()]}


def _all() -> list[Study]:
    return [one for one in map(load_study, study_names()) if not one.alone]


def write_claims(out: Path) -> Path:
    """Puts the verdicts of all studies in a folder into ``claims.md``, and returns its path.

    Two tables: every claim with what was measured, and every line of the first system's record with the
    verdicts on it.
    """
    lines = [
        "# What became of the claims",
        "",
        "| claim | where | statement | verdict | measured | seeds |",
        "|---|---|---|---|---|---|",
    ]
    verdicts: dict[str, str] = {}
    for known in study_names():
        file = out / f"{known}.claims.json"
        if file.is_file():
            for row in text_of.loads(file.read_text(encoding="utf-8")):
                verdicts[row["claim"]] = row["verdict"]
                said = row["verdict"] + (
                    f": {row['reason']}" if row["reason"] and row["verdict"] in EXPLAINED else ""
                )
                cells = (f"[{row['claim']}]({known}.md)", row["where"], row["says"], said, row["measured"])
                lines.append("| " + " | ".join(c.replace("|", "/") for c in cells) + f" | {row['seeds']} |")
    lines += ["", "## Line by line", "", *coverage_table(verdicts)]
    write_text(out / "claims.md", "\n".join(lines) + "\n")
    return out / "claims.md"


def _told(one: Study, *, quick: bool) -> Callable[[SweepRow, int, int], None]:
    begun = time.monotonic()
    names = {job_key(job): f"{variant} {seed}" for variant, seed, job in one.jobs(quick=quick)}

    def tell(row: SweepRow, done: int, all_: int) -> None:
        minutes = (time.monotonic() - begun) / 60
        took = f"{row.status} in {row.seconds:.0f} s, {minutes:.1f} min so far"
        print(f"{one.name} {done}/{all_} {names.get(row.key, row.key)}: {took}", file=sys.stderr)

    return tell
