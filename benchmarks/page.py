"""Runs every claim beside its peers, keeps each result as JSON, and writes docs/benchmarks.md from them.

A claim whose stored result was measured with the same sides, scripts and rounds is not run again, so an
interrupted run goes on with the next claim. `--write` runs nothing and only writes the page.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import driver

HERE = Path(__file__).parent
CLAIMS, SIDES = HERE / "claims", HERE / "sides"
RESULTS = HERE.parent / "docs" / "benchmarks"
PAGE = HERE.parent / "docs" / "benchmarks.md"
GROUPS = {
    "data": "moola-data",
    "models": "moola-models",
    "eval": "moola-eval",
    "train": "moola-train",
    "predict": "The whole, in use",
}
INTRODUCTION = """\
# Benchmarks

Every claim of speed beside another library, or beside what the machine can do at best. One command measures
them all and writes this page:

```sh
uv run --project benchmarks python benchmarks/page.py              # every claim that has no result yet
uv run --project benchmarks python benchmarks/page.py --only eval  # those whose name begins so
```

Each side of a claim has an environment of its own, so peers with conflicting pins stand beside us, and a
process of its own. Sides run alternately in random order, one thread unless the claim says otherwise.
**Ratio** is the median time over that of our first row: above 1 the side is slower than we are. Our first
side runs twice; the ratio of that **A/A** row is what noise alone makes of 1, and a difference no larger
than its distance from 1 says nothing. What the sides do stands in `benchmarks/sides`; the figures are in
`docs/benchmarks`, one JSON file a claim.
"""
ELSEWHERE = """\
## Measured elsewhere

What needs no peer, or one process for all: [what each balancer costs](measured/balancer_cost.md),
[how balancers fare](measured/balancer_shootout.md), [structured layers](measured/structured_layers.md),
[pretraining](measured/pretraining.md), [the speed of moola-eval, in detail](measured/eval_speed.md),
[the journal](journal.md).
"""


def main(words: list[str] | None = None) -> int:
    """Returns 1 if a claim could not be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PREFIX", help="claims whose name begins so")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0, help="of the order in which sides run")
    parser.add_argument("--again", action="store_true", help="run claims that have a result too")
    parser.add_argument("--write", action="store_true", help="run nothing, write the page from the results")
    args = parser.parse_args(words)
    if args.rounds < 1:
        parser.error(f"--rounds: want 1 or more, got {args.rounds}")
    chosen = [name for name in names() if name.startswith(args.only)]
    if not chosen:
        parser.error(f"--only: want the beginning of one of {names()}, got {args.only!r}")
    failed = []
    for name in [] if args.write else chosen:
        key = fingerprint(name, args.rounds, args.seed)
        if not args.again and (stored(name) or {}).get("fingerprint") == key:
            print(f"{name}: has its result", flush=True)
            continue
        print(f"{name}: {args.rounds} rounds", flush=True)
        try:
            keep(name, measured(name, args.rounds, args.seed) | {"fingerprint": key})
        except (RuntimeError, subprocess.CalledProcessError) as error:  # a side that ended, an install
            print(f"{name}: not run: {error}", file=sys.stderr, flush=True)
            failed.append(name)
        write(PAGE, page())
    write(PAGE, page())
    return 1 if failed else 0


def names() -> list[str]:
    """All claims, in the page's order."""
    found = sorted(path.stem for path in CLAIMS.glob("*.toml"))
    return sorted(found, key=lambda name: (list(GROUPS).index(name.split("_")[0]), name))


def claim(name: str) -> dict:
    return tomllib.loads((CLAIMS / f"{name}.toml").read_text())


def fingerprint(name: str, rounds: int, seed: int) -> str:
    """Of all that was asked; not of our packages, whose state the result names by its commit."""
    files = [CLAIMS / f"{name}.toml", HERE / "side.py"]
    for side in claim(name)["side"]:
        files += with_imports(SIDES / side["script"])
    parts = [b"%d %d" % (rounds, seed), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def with_imports(script: Path) -> list[Path]:
    """The script and what it imports of its neighbours, and they of theirs."""
    found = [script]
    for file in found:  # grows as it is walked
        imported = re.findall(r"^(?:from|import) (\w+)", file.read_text(), flags=re.MULTILINE)
        near = [SIDES / f"{module}.py" for module in imported]
        found += [path for path in near if path.exists() and path not in found]
    return found


def measured(name: str, rounds: int, seed: int) -> dict:
    began, load = datetime.now(UTC), os.getloadavg()[0]
    result = driver.run(claim(name), rounds, seed)
    return result | {
        "schema_version": 1,
        "date": began.date().isoformat(),
        "commit": commit(),
        "machine": f"{processor()}, {result['machine']}",
        "load_before": round(load, 2),
    }


def processor() -> str:
    with contextlib.suppress(OSError):  # only Linux has it
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "processor unknown"


def commit() -> str:
    """Short name of the commit, with + if the measured tree had changes on top."""
    asked = ["git", "-C", str(HERE), "describe", "--always", "--abbrev=9", "--exclude=*", "--dirty=+"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def stored(name: str) -> dict | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def keep(name: str, result: dict) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    write(RESULTS / f"{name}.json", json.dumps(result, indent=1) + "\n")


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    draft = path.with_name(path.name + ".tmp")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def page() -> str:
    """The page, from the claims and their stored results."""
    blocks = [INTRODUCTION]
    for group, title in GROUPS.items():
        mine = [name for name in names() if name.split("_")[0] == group]
        blocks += [f"## {title}\n", *(section(name) for name in mine)]
    return "\n".join([*blocks, ELSEWHERE])


def section(name: str) -> str:
    asked, result = claim(name), stored(name)
    head = f"### {name}\n\n{sentence(asked['claim'])}\n"
    if result is None:
        sides = "; ".join(side["name"] for side in asked["side"])
        return f"{head}\nSides: {sides}. **Not run.**\n"
    rows = [
        f"| {row['side']} | {versions(row['versions'])} | {row['median_ms']:.4g} | {row['min_ms']:.4g} "
        f"| {row['ratio']:.2f} | {row['peak_mib']:.0f} |"
        for row in result["rows"]
    ]
    table = ["| side | versions | median ms | least ms | ratio | peak MiB |", "|" + "---|" * 6, *rows]
    foot = (
        f"{result['date']}, {result['machine']}; {result['rounds']} rounds, "
        f"load {result['load_before']} before; commit {result['commit']}."
    )
    old = fingerprint(name, result["rounds"], result["seed"]) != result["fingerprint"]
    note = " **The claim or a side has changed since.**" if old else ""
    return "\n".join([head, *table, "", foot + note, ""])


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


if __name__ == "__main__":
    sys.exit(main())
