"""Writes docs/audit.md: the audit of both feature sets on the sample and on a random walk.

python packages/moola-data/scripts/make_audit.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

from moola_data.bars import make_bars
from moola_data.feature_audit import audit, audit_markdown
from moola_data.features import compute_features
from moola_data.sample import load_sample
from moola_data.schema import Bars

DOCS = Path(__file__).parents[1] / "docs"
SEED = 0


def random_walk(n: int) -> Bars:
    """Minute bars of an index future that goes nowhere in particular: heavy tails, quarter ticks."""
    rng = np.random.default_rng(SEED)
    close = 20_000 + 2 * np.cumsum(rng.standard_t(4, n))
    open_ = np.concatenate([[20_000.0], close[:-1]]) + 0.5 * rng.standard_t(3, n)
    high = np.maximum(open_, close) + rng.exponential(1, n)
    low = np.minimum(open_, close) - rng.exponential(1, n)
    prices = {"open": open_, "high": high, "low": low, "close": close}
    frame = pd.DataFrame({name: np.round(price * 4) / 4 for name, price in prices.items()})
    frame["time"] = pd.date_range("2024-01-01", periods=n, freq="min")
    return make_bars(frame)


CONVICTIONS = {
    "flips": "swings turn on most bars",
    "range hardly used": "under a tenth of the declared range in use",
    "unknown coded as a value": '"no swing yet" has the code of a value',
    "shows where windows begin": "values tell where the window begins",
    "settles late": "a cold start lasts longer than the declared warm-up",
    "depends on the price unit": "the unit of price matters",
    "not mirror-symmetric": "prices upside down change it otherwise than declared",
    "repaints": "a value changes when bars arrive",
    "looks ahead": "a value depends on later bars",
}


def turning_share(bars: Bars) -> float:
    """Gives the share of bars at which the leg of `origin` turns: the sign that it gives the body."""
    values = compute_features(bars, "origin")
    proxy, body = (values.values[:, values.names.index(name)] for name in ("expansion_proxy", "body_pct"))
    leg = np.sign(proxy) * np.sign(body)
    known = (leg[1:] != 0) & (leg[:-1] != 0) & (np.diff(bars.segment) == 0)
    return float((leg[1:] != leg[:-1])[known].mean())


def summary(tables: dict[tuple[str, str], pd.DataFrame]) -> list[str]:
    """Counts the features that each check convicts, a row a check."""
    head = [f"{name}, {series}" for series, name in tables]
    rows = [["convicted of", *head], ["---", *["---:"] * len(head)]]
    for rule, said in CONVICTIONS.items():
        guilty = [int(table["verdict"].str.contains(rule).sum()) for table in tables.values()]
        rows.append([f"{rule}: {said}", *map(str, guilty)])
    rows.append(["**features in all**", *(str(len(table)) for table in tables.values())])
    return [f"| {' | '.join(row)} |" for row in rows]


def main() -> None:
    """Writes the page."""
    lines = [
        "# What the audit says of the feature sets",
        "",
        "`python packages/moola-data/scripts/make_audit.py` writes this page; for bars and features of your",
        "own there is `python -m moola_data audit FILE [--features module:function]`. What each column means",
        "and when it convicts stands in `moola_data.feature_audit.audit`.",
        "",
        "`origin` is kept as it was first used, defects included: its swings turn on most bars, so that the",
        'age of a swing uses a hundredth of its range; the code of "no swing yet" is also a value; computed',
        "window by window, its features tell where the window begins; and a fixed 0.000001 in its divisions",
        "makes it depend on the unit of price. `jade` is the answer to it.",
        "",
    ]
    series = {"stocks": load_sample(), "walk": random_walk(20_000)}
    titles = {
        "stocks": "Daily bars of four stocks (`load_sample`)",
        "walk": f"A random walk of 20,000 bars (seed {SEED})",
    }
    tables = {
        (short, name): audit(name, bars, seed=SEED)
        for short, bars in series.items()
        for name in ("origin", "jade")
    }
    lines += summary(tables)
    turns = " and ".join(f"{turning_share(bars):.0%} ({short})" for short, bars in series.items())
    lines += ["", f"The leg of `origin`, up or down, turns from one bar to the next on {turns} of bars."]
    for (short, name), table in tables.items():
        lines += ["", f"## {titles[short]}: `{name}`", "", audit_markdown(table).rstrip()]
    DOCS.mkdir(exist_ok=True)
    (DOCS / "audit.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
