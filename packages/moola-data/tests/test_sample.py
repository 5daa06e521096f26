import gzip
import json

import numpy as np
import pytest

from moola_data import sample
from moola_data.sample import load_sample, sample_record


def test_the_sample_has_the_recorded_bars_by_symbol():
    bars = load_sample()
    counts = np.bincount(bars.symbol)
    assert dict(zip(bars.symbols, counts.tolist(), strict=True)) == sample_record()["bars"]
    assert counts.min() > 2_000


def test_no_overnight_jump_looks_like_a_split_but_the_real_fall_of_aapl():
    bars = load_sample()
    same = bars.symbol[1:] == bars.symbol[:-1]
    jump = np.abs(np.log(bars.open[1:] / bars.close[:-1]))
    rows = 1 + np.flatnonzero(same & (jump > np.log(1.4)))
    assert [(bars.symbols[bars.symbol[r]], str(bars.time[r])[:10]) for r in rows] == [("AAPL", "2000-09-29")]


def test_split_adjustment_divides_the_prices_before_it():
    bars = load_sample()
    first = bars.symbols.index("AAPL")
    assert bars.open[np.flatnonzero(bars.symbol == first)[0]] == 118.56 / 4


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    table = gzip.decompress((sample.FILES / "stocks.csv.gz").read_bytes()).replace(b"29.64", b"29.65", 1)
    (tmp_path / "stocks.csv.gz").write_bytes(gzip.compress(table))
    (tmp_path / "stocks.json").write_text(json.dumps(sample_record()))
    monkeypatch.setattr(sample, "FILES", tmp_path)
    with pytest.raises(ValueError, match="sha256"):
        load_sample()
