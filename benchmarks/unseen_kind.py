"""The default of `moola train` on files of kinds that nobody here tuned on, beside the five-bar move.

OMP_NUM_THREADS=1 python benchmarks/unseen_kind.py [--jobs 2] [--seeds 5] [--write]

Each file has 22,050 bars and untyped spans; `moola train --bars --spans` is run on it with no other
argument, in a process of its own, and its report.json is read. Rows are kept in
docs/measured/unseen_kind.jsonl, by kind and seed; what is there is not run again. `--write` only writes the
page.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from moola_data.synthetic import benchmark
from moola_data.world import World

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "docs" / "measured" / "unseen_kind.jsonl"
PAGE = ROWS.with_suffix(".md")
WINDOWS, LENGTH, TRADES = 210, 105, 8
Files = tuple[pd.DataFrame, pd.DataFrame]


def world_files(world: World, seed: int) -> Files:
    """A stream of the semi-Markov benchmark with other lengths than its own."""
    drawn = benchmark(WINDOWS, seed=seed, world=world, per_stretch=WINDOWS, warmup=1)
    bars = pd.DataFrame({name: getattr(drawn.bars, name) for name in ("open", "high", "low", "close")})
    bars.insert(0, "time", pd.to_datetime(drawn.bars.time).strftime("%Y-%m-%dT%H:%M:%S"))
    return bars, pd.DataFrame({"start": drawn.spans.start, "end": drawn.spans.end})


def patches(seed: int, *, drift: float, scale: float, bars: tuple[int, int]) -> Files:
    """A walk of Student-t trades; one or two patches in every 105 bars drift or are wider, out of no calm."""
    draw = np.random.default_rng(seed)
    count = WINDOWS * LENGTH
    push, width, spans = np.zeros(count), np.ones(count), []
    for window in range(WINDOWS):
        many = int(draw.integers(1, 3))
        room = LENGTH // many
        for place in range(many):
            size = int(draw.integers(bars[0], bars[1] + 1))
            start = window * LENGTH + place * room + int(draw.integers(0, room - size))
            push[start : start + size] = draw.choice((-1, 1)) * drift
            width[start : start + size] = scale
            spans.append((start, start + size - 1))
    trades = draw.standard_t(4, (count, TRADES)) / np.sqrt(2 * TRADES)
    steps = 4e-4 * (push[:, None] / TRADES + width[:, None] * trades)
    path = 100 * np.exp(np.cumsum(steps).reshape(count, TRADES))
    first = np.concatenate([[100.0], path[:-1, -1]])
    whole = np.column_stack([first, path])
    time = pd.date_range("2024-01-01", periods=count, freq="min").strftime("%Y-%m-%dT%H:%M:%S")
    high, low = whole.max(1), whole.min(1)
    table = {"time": time, "open": first, "high": high, "low": low, "close": path[:, -1]}
    return pd.DataFrame(table), pd.DataFrame(spans, columns=["start", "end"])


KINDS: dict[str, Callable[[int], Files]] = {
    "long expansions, 20 to 45 bars": lambda s: world_files(World(expansion_bars=(20, 45)), s),
    "short expansions, 3 to 5 bars": lambda s: world_files(World(expansion_bars=(3, 5)), s),
    "drifts of 15 to 40 bars, no calm before": lambda s: patches(s, drift=0.7, scale=1.0, bars=(15, 40)),
    "restless stretches, no direction": lambda s: patches(s, drift=0.0, scale=1.8, bars=(15, 40)),
}


def measured(kind: str, seed: int) -> dict[str, object]:
    bars, spans = KINDS[kind](seed)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        bars.to_csv(here / "bars.csv", index=False)
        spans.to_csv(here / "spans.csv", index=False)
        words = ["train", "--bars", "bars.csv", "--spans", "spans.csv", "--run", "run"]
        command = [sys.executable, "-m", "moola_train.recipes.cli", *words]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=here, env=env, check=True, capture_output=True)
        report = json.loads((here / "run" / "report.json").read_text())
    row: dict[str, object] = {"kind": kind, "seed": seed, "windows": report["data"]["n_windows"]}
    row["marked"] = report["data"]["positive_rate"]
    for metric in report["metrics"]:
        if metric["name"] in ("span_f1", "bar_f1"):
            best = metric["strongest_null"]
            row[metric["name"]] = {
                "value": metric["value"],
                "five_bar_move": metric["nulls"]["five_bar_move"],
                "strongest_null": metric["nulls"][best],
                "strongest": best,
            }
    return row


INTRODUCTION = """\
# The default on kinds of data that nobody tuned on

`moola train --bars bars.csv --spans spans.csv` with nothing else, on 22,050 bars and spans without types; the
last fifth of the time is reported, 40 windows or so. The five-bar move is the rule that the report holds
against every detector, with its threshold from the inner part; the strongest chance level is the best of all
seven. The first two kinds are the semi-Markov benchmark with other lengths, the others a walk of Student-t
trades with one or two marked stretches in every 105 bars. Mean over seeds [lowest, highest].

```sh
OMP_NUM_THREADS=1 python benchmarks/unseen_kind.py
```

| kind | seeds | metric | jade-best | five-bar move | strongest chance | seeds above the move |
|---|---|---|---|---|---|---|
"""


def page(rows: list[dict[str, object]]) -> str:
    lines = []
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        for metric in ("span_f1", "bar_f1") if own else ():
            sides = ("value", "five_bar_move", "strongest_null")
            cells = [[row[metric][side] for row in own] for side in sides]
            told = [f"{statistics.mean(c):.2f} [{min(c):.2f}, {max(c):.2f}]" for c in cells]
            above = sum(a > b for a, b in zip(*cells[:2], strict=True))
            name = metric.replace("_f1", " F1")
            lines.append(f"| {kind} | {len(own)} | {name} | {' | '.join(told)} | {above} |\n")
    return INTRODUCTION + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []
    done = {(row["kind"], row["seed"]) for row in rows}
    todo = [(k, s) for s in range(asked.seeds) for k in KINDS if (k, s) not in done and not asked.write]
    with ThreadPoolExecutor(asked.jobs) as pool:
        for row in pool.map(lambda job: measured(*job), todo):
            rows.append(row)
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)
    PAGE.write_text(page(rows))


if __name__ == "__main__":
    main()
