"""Times the sides of one claim alternately, each in a process and an environment of its own."""

import argparse
import hashlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def environment(requires: list[str]) -> Path:
    """Makes (once) and returns the Python of the environment that holds these requirements."""
    key = hashlib.sha256("\n".join(sorted(requires)).encode()).hexdigest()[:12]
    folder = HERE / ".venvs" / key
    python = folder / "bin" / "python"
    local = [r for r in requires if r.startswith("moola-")]
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", str(folder)], check=True)
        peers = [r for r in requires if r not in local]
        if peers:
            subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python), *peers], check=True)
    for name in local:  # always anew: the tree may have changed
        path = str(HERE.parent / "packages" / name)
        command = ["uv", "pip", "install", "--quiet", "--python", str(python), "--reinstall-package", name]
        subprocess.run([*command, path], check=True)
    return python


class Side:
    """A process that prepares once and then runs once per request."""

    def __init__(self, name: str, python: Path, script: str, variables: dict[str, str]) -> None:
        self.name = name
        env = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", **variables}
        command = [str(python), str(HERE / "side.py"), str(HERE / "sides" / script)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self.ready = self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"side {self.name!r} ended with code {self.process.wait()}")
        return json.loads(line)

    def once(self) -> dict:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def run(claim: dict, rounds: int, seed: int) -> dict:
    first, variables = claim["side"][0], claim.get("environment", {})
    asked = [first, {**first, "name": f"{first['name']} (A/A)"}, *claim["side"][1:]]
    sides = [Side(s["name"], environment(s["requires"]), s["script"], variables) for s in asked]
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    peak: dict[str, float] = {}
    order = random.Random(seed)
    for turn in range(rounds + 1):  # the first turn warms up
        for side in order.sample(sides, len(sides)):
            answer = side.once()
            if turn:
                times[side.name].append(answer["seconds"])
            peak[side.name] = answer["peak_mib"]
    versions = {side.name: side.ready["versions"] for side in sides}
    for side in sides:
        side.close()
    base = statistics.median(times[sides[0].name])
    rows = [
        {
            "side": side.name,
            "median_ms": 1e3 * statistics.median(times[side.name]),
            "min_ms": 1e3 * min(times[side.name]),
            "ratio": statistics.median(times[side.name]) / base,
            "peak_mib": peak[side.name],
            "versions": versions[side.name],
        }
        for side in sides
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"claim": claim["claim"], "machine": machine, "rounds": rounds, "seed": seed, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = sorted(p.stem for p in (HERE / "claims").glob("*.toml"))
    parser.add_argument("claim", help=f"one of {', '.join(known)}, or the beginning of several, such as eval")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    chosen = [name for name in known if name.startswith(args.claim)]
    if not chosen:
        parser.error(f"claim: want one of {known}, got {args.claim!r}")
    results = [measure(name, args.rounds, args.seed) for name in chosen]
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(name: str, rounds: int, seed: int) -> dict:
    """Runs one claim and prints its table."""
    result = run(tomllib.loads((HERE / "claims" / f"{name}.toml").read_text()), rounds, seed)
    print(f"{result['claim']}\n{result['machine']}; {rounds} alternating rounds\n")
    print("| side | median ms | min ms | ratio to ours | peak MiB |\n|---|---|---|---|---|")
    for row in result["rows"]:
        print(
            f"| {row['side']} | {row['median_ms']:.2f} | {row['min_ms']:.2f} "
            f"| {row['ratio']:.2f} | {row['peak_mib']:.0f} |"
        )
    print()
    return result


if __name__ == "__main__":
    sys.exit(main())
