"""Writes docs/audit.md: the audit of both feature sets on the sample and on a random walk.

python packages/moola-data/scripts/make_audit.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

from moola_data.bars import make_bars
from moola_data.feature_audit import audit, audit_markdown
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
    ]
    for title, bars in (
        ("Daily bars of four stocks (`load_sample`)", load_sample()),
        (f"A random walk of 20,000 bars (seed {SEED})", random_walk(20_000)),
    ):
        for name in ("origin", "jade"):
            table = audit_markdown(audit(name, bars, seed=SEED))
            lines += ["", f"## {title}: `{name}`", "", table.rstrip()]
    DOCS.mkdir(exist_ok=True)
    (DOCS / "audit.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
