"""Real bars that come with the package."""

from __future__ import annotations

import gzip
import hashlib
import json
from importlib import resources

from moola_data._table_file import parse_csv
from moola_data.bars import make_bars
from moola_data.schema import Bars

FILES = resources.files("moola_data") / "_data"


def sample_record() -> dict[str, object]:
    """Returns what is on record about the sample: licence, origin, checksums and what was changed."""
    record: dict[str, object] = json.loads((FILES / "stocks.json").read_text("utf-8"))
    return record


def load_sample() -> Bars:
    """Loads daily bars of four US stocks, March 2000 to March 2013, 11,958 in all.

    AAPL, IBM and MSFT have 3,270 bars each, GOOG 2,148 (from 2004). Public domain (Quandl WIKI prices, taken
    from the package bokeh_sampledata 2026.1); prices before a stock split are divided by its ratio, so that
    no bar opens at half the price of the one before for bookkeeping's sake. AAPL's fall by half on
    2000-09-29 is real.

    Returns:
        The bars, prices in US dollars.

    Raises:
        ValueError: The installed file is not the one the package was released with.

    >>> load_sample().symbols
    ('AAPL', 'GOOG', 'IBM', 'MSFT')
    """
    content = gzip.decompress((FILES / "stocks.csv.gz").read_bytes())
    wanted, found = sample_record()["sha256"], hashlib.sha256(content).hexdigest()
    if wanted != found:
        raise ValueError(f"stocks.csv.gz: want sha256 {wanted}, got {found}; the installation is damaged")
    table = parse_csv(content, names=("symbol",))
    return make_bars(table, source="moola_data sample: daily US stocks 2000-2013, split-adjusted")
