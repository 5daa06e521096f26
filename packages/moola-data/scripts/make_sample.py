"""Builds the embedded sample bars from the upstream file, the same bytes every time.

pip download --no-deps bokeh_sampledata==2026.1 && unzip bokeh_sampledata-2026.1-*.whl -d upstream
python scripts/make_sample.py upstream/bokeh_sampledata/_data/stocks.csv.gz
"""

import csv
import gzip
import hashlib
import io
import json
import sys
from pathlib import Path

UPSTREAM_SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
DATA = Path(__file__).parents[1] / "src" / "moola_data" / "_data"
LEAST_BARS = 2_000
PRICES = ("Open", "High", "Low", "Close")


def sha256(content: bytes) -> str:
    """Returns the digest as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def sample(upstream: bytes, splits: list[dict[str, str]]) -> tuple[bytes, dict[str, int]]:
    """Returns the sample as CSV, and its bars by symbol."""
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(upstream).decode())))
    symbols = sorted({row["Ticker"] for row in rows})
    counts = {symbol: sum(row["Ticker"] == symbol for row in rows) for symbol in symbols}
    counts = {symbol: count for symbol, count in counts.items() if count > LEAST_BARS}
    lines = ["symbol,date,open,high,low,close"]
    for symbol in counts:
        for row in sorted((r for r in rows if r["Ticker"] == symbol), key=lambda r: r["Date"]):
            ratio = 1.0
            for split in splits:
                if split["symbol"] == symbol and row["Date"] < split["first_day"]:
                    ratio *= float(split["ratio"])
            prices = [repr(float(row[name]) / ratio) for name in PRICES]
            lines.append(",".join([symbol, row["Date"], *prices]))
    return ("\n".join(lines) + "\n").encode(), counts


def main() -> None:
    """Writes stocks.csv.gz and stocks.json."""
    upstream = Path(sys.argv[1]).read_bytes()
    if sha256(upstream) != UPSTREAM_SHA256:
        sys.exit(f"{sys.argv[1]}: want sha256 {UPSTREAM_SHA256}, got {sha256(upstream)}")
    splits = (DATA / "splits.csv").read_text()
    table, counts = sample(upstream, list(csv.DictReader(io.StringIO(splits))))
    # No name and no time in the archive; the checksum is that of the CSV, as deflate may differ by version.
    archive = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=archive, mtime=0) as file:
        file.write(table)
    (DATA / "stocks.csv.gz").write_bytes(archive.getvalue())
    record = {
        "content": "Daily bars (open, high, low, close) of US stocks, 2000-03-01 to 2013-03-01",
        "bars": counts,
        "licence": "Public domain",
        "licence_evidence": (
            "Source-verified in the upstream package's licenses/datasets.json: the archived Quandl page of "
            "the WIKI prices declares them public domain and permits copying, distribution and inclusion "
            "in commercial or noncommercial products."
        ),
        "attribution": "Quandl WIKI Prices. Archived copy supplied by marketneutral on Kaggle.",
        "upstream": {
            "package": "bokeh_sampledata==2026.1",
            "file": "bokeh_sampledata/_data/stocks.csv.gz",
            "sha256": UPSTREAM_SHA256,
        },
        "changes": [
            f"Only symbols with more than {LEAST_BARS} bars; volume and adjusted close left out.",
            "Prices before a split's first day (splits.csv) divided by its ratio; upstream is unadjusted.",
        ],
        "sha256": sha256(table),
        "sha256_of": "the uncompressed CSV",
    }
    (DATA / "stocks.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
